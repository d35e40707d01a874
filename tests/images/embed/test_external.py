"""Embeddings made elsewhere come in whole, or are refused with a line that names the file."""

import numpy as np
import pytest

from umeta.core.errors import InputError
from umeta.images.embed.external import read_embedding

MATRIX = np.random.default_rng(0).normal(size=(4, 3))


@pytest.mark.parametrize("name", ["embedding", "Z"])
def test_both_names_are_read(tmp_path, name):
    np.savez(tmp_path / "x.npz", **{name: MATRIX, "other": np.zeros(2)})
    np.testing.assert_allclose(read_embedding(tmp_path / "x.npz", 4).numpy(), MATRIX, rtol=1e-6)


def test_our_name_goes_before_that_of_cactus(tmp_path):
    np.savez(tmp_path / "x.npz", embedding=MATRIX, Z=np.zeros((4, 1)))
    assert read_embedding(tmp_path / "x.npz", 4).shape == (4, 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"latents": MATRIX, "y": MATRIX}, r"has no array named embedding or Z; it has latents, y"),
        ({}, r"it has none"),
        ({"embedding": MATRIX[:3]}, r"has shape \[3, 3\], but the pool has 4 images; give one row per image"),
        ({"embedding": MATRIX[0]}, r"has shape \[3\]"),
        ({"embedding": np.where(MATRIX > 0, np.nan, MATRIX)}, r"NaN or infinite"),
        ({"embedding": np.full((4, 3), np.inf)}, r"NaN or infinite"),
        ({"embedding": np.array([["a"]] * 4)}, r"not a readable \.npz file"),
        ({"embedding": np.array([[None]] * 4)}, r"not a readable \.npz file"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        read_embedding(tmp_path / "x.npz", 4)
    assert "x.npz" in str(caught.value)


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "zip only in name", "truncated", "spoiled", "npy"])
def test_files_that_cannot_be_read_are_refused(tmp_path, damage):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, embedding=MATRIX)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "npy":
        np.save(tmp_path / "x.npy", MATRIX)
        (tmp_path / "x.npy").rename(path)
    else:
        middle = len(whole) // 2
        spoiled = whole[:60] + bytes(byte ^ 255 for byte in whole[60:middle]) + whole[middle:]
        content = {"empty": b"", "text": b"hello", "zip only in name": b"PK\x03\x04junk", "truncated": whole[:-30], "spoiled": spoiled}
        path.write_bytes(content[damage])
    with pytest.raises(InputError, match=r"x\.npz is not a readable \.npz file"):
        read_embedding(path, 4)
