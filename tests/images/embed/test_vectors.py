"""Vectors of encoders of others: made once for an image, whatever run it comes in, and only as far as they are readable."""

import numpy as np
import pytest
import torch

from umeta.artifacts.artifact import WEIGHTS
from umeta.core.errors import InterruptedRunError
from umeta.images.embed import vectors
from umeta.images.embed.outside import Intake, Network, OutsideEncoder
from umeta.images.embed.vectors import KnownVectors, embed_once


class Counting:
    """An encoder of mean and maximum that counts the images it sees."""

    def __init__(self, sha256="aa", side=4):
        self.n = 0
        self.encoder = OutsideEncoder("onnx:toy", "none", Network(Intake(1, side, (0.0,), (1.0,)), self.run, sha256))

    def run(self, images):
        self.n += len(images)
        return torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3))], 1)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UMETA_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(vectors, "EACH", 8)
    return tmp_path / "kept" / "vectors"


def pool(n, side=4):
    images = np.random.default_rng(0).integers(0, 256, (n, 1, side, side), np.uint8)
    return images, np.arange(n * 16, dtype=np.int64).astype(np.uint8).reshape(n, 16) ^ np.arange(n, dtype=np.uint8)[:, None]


def embed(counting, images, hashes, notes=None, on_progress=lambda done, n: None):
    return embed_once(counting.encoder, images, hashes, on_progress=on_progress, note=(notes if notes is not None else []).append)


def test_an_image_is_embedded_once_wherever_it_stands(folder):
    images, hashes = pool(20)
    first, again, notes = Counting(), Counting(), []
    whole = embed(first, images, hashes)
    torch.testing.assert_close(whole, first.encoder(torch.from_numpy(images).float() / 255))
    assert first.n == 40 and len(list(folder.glob("*/*"))) == 3
    order = np.random.default_rng(1).permutation(20)
    assert embed(again, images[order], hashes[order], notes).equal(whole[order]) and again.n == 0
    assert notes == ["20 of 20 images were embedded by this encoder before; they are not embedded again"]


def test_new_images_are_embedded_and_take_their_places():
    images, hashes = pool(23)
    old, counting, done = np.r_[3:20], Counting(), []
    embed(Counting(), images[old], hashes[old])
    found = embed(counting, images, hashes, on_progress=lambda n, of: done.append((n, of)))
    assert counting.n == 6 and done[-1] == (23, 23)
    torch.testing.assert_close(found, Counting().encoder(torch.from_numpy(images).float() / 255))


@pytest.mark.parametrize("other", [Counting("bb"), Counting(side=2)])
def test_another_encoder_or_intake_has_vectors_of_its_own(other):
    images, hashes = pool(9)
    embed(Counting(), images, hashes)
    embed(other, images, hashes)
    assert other.n == 9


def test_images_of_another_size_are_others():
    images, hashes = pool(9)
    embed(Counting(), images, hashes)
    counting = Counting()
    embed(counting, pool(9, side=6)[0], hashes)
    assert counting.n == 9


def test_work_that_was_stopped_goes_on_where_it_was():
    images, hashes = pool(20)

    def stop(done, n):
        if done > 16:
            raise InterruptedRunError("stopped")

    with pytest.raises(InterruptedRunError):
        embed(Counting(), images, hashes, on_progress=stop)
    counting = Counting()
    embed(counting, images, hashes)
    assert counting.n == 4


def test_a_damaged_file_is_made_anew(folder):
    images, hashes = pool(20)
    whole = embed(Counting(), images, hashes)
    next(folder.glob("*/*")).joinpath(WEIGHTS).write_bytes(b"damaged")
    counting = Counting()
    assert embed(counting, images, hashes).equal(whole) and counting.n in (4, 8)
    assert not embed(counting, images, hashes).isnan().any() and counting.n in (4, 8)


def test_where_nothing_can_be_kept_the_work_is_done_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("UMETA_CACHE", str(tmp_path / "file"))
    images, hashes = pool(20)
    notes = []
    assert len(embed(Counting(), images, hashes, notes)) == 20
    assert len(notes) == 1 and notes[0].startswith("vectors are not kept for other runs: could not write")


def test_duplicates_share_a_vector():
    images, hashes = pool(12)
    images[5], hashes[5] = images[2], hashes[2]
    whole = embed(Counting(), images, hashes)
    assert embed(Counting(), images, hashes).equal(whole) and whole[5].equal(whole[2])


def test_the_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("UMETA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    images, _ = pool(1)
    assert KnownVectors.of(Counting().encoder, images).folder.parent == tmp_path / "shared" / "umeta" / "vectors"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert KnownVectors.of(Counting().encoder, images).folder.parent == tmp_path / ".cache" / "umeta" / "vectors"
