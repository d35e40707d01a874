"""Pictures in any form become arrays of one size, and what is no picture is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from umeta.core.errors import InputError
from umeta.images.preparation import Preparation


@pytest.fixture
def drawings(tiny_pool):
    """Images [72, 28, 28] of three classes, 24 of each."""
    return tiny_pool.images[:72, 0]


def test_every_form_of_one_image_gives_the_same_pixels(drawings, tmp_path):
    image, preparation = drawings[0], Preparation(1, 28)
    Image.fromarray(image).save(tmp_path / "x.png")
    forms = {
        "gray": image,
        "channel last": image[..., None],
        "channel first": image[None],
        "float": image / 255,
        "float32": (image / 255).astype(np.float32),
        "color": np.stack([image] * 3, -1),
        "color first": np.stack([image] * 3),
        "color float": np.stack([image] * 3, -1) / 255,
        "pillow": Image.fromarray(image),
        "pillow color": Image.fromarray(image).convert("RGB"),
        "path": tmp_path / "x.png",
        "text": str(tmp_path / "x.png"),
    }
    for name, form in forms.items():
        np.testing.assert_array_equal(preparation.pixels(form), image[None], err_msg=name)
    batch = preparation.batch(list(forms.values()))
    assert batch.shape == (12, 1, 28, 28)
    torch.testing.assert_close(batch[7, 0], torch.from_numpy(image) / 255)
    assert Preparation(3, 28).pixels(image).shape == (3, 28, 28)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"has shape \[4, 4, 2\]"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"has shape \[2, 4, 4, 3\]"),
        (np.zeros(9, np.uint8), r"has shape \[9\]"),
        (np.zeros((0, 4), np.uint8), r"has shape \[0, 4\]"),
        (np.full((4, 4), 255.0), r"dtype float64 with values outside \[0, 1\]"),
        (np.full((4, 4), -0.1), r"outside \[0, 1\]"),
        (np.full((4, 4), np.nan), r"outside \[0, 1\]"),
        (np.zeros((4, 4), np.int64), r"dtype int64; images must be uint8, or floats in \[0, 1\]"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(InputError, match=message):
        Preparation(1, 28).pixels(image)


def test_a_pool_is_brought_to_size_or_left_as_it_is(tiny_pool):
    preparation = Preparation(1, 28)
    assert preparation.pool(tiny_pool.images) is tiny_pool.images
    np.testing.assert_array_equal(preparation.pool(tiny_pool.images[:2].repeat(3, 1)), tiny_pool.images[:2])
    assert Preparation(3, 14).pool(tiny_pool.images[:2]).shape == (2, 3, 14, 14)
