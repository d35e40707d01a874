"""What is measured of drawings, against drawings of known size."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from umeta.images.drawing import DrawingStyle


def crosses(width, extent, side=28, n=5):
    """Crosses with strokes of so many pixels and so large, in white on black, drawn eight times as large."""
    large = Image.new("L", (8 * side, 8 * side))
    low, high = 4 * side - 4 * extent, 4 * side + 4 * extent - 1
    middle, half = 4 * side, 4 * width
    draw = ImageDraw.Draw(large)
    draw.rectangle((low, middle - half, high, middle + half - 1), fill=255)
    draw.rectangle((middle - half, low, middle + half - 1, high), fill=255)
    small = np.asarray(large.resize((side, side), Image.Resampling.BOX))
    return np.stack([np.roll(small, shift, 1) for shift in range(n)])[:, None]


@pytest.mark.parametrize(("width", "extent"), [(2, 20), (4, 16), (2, 12)])
def test_size_and_stroke_are_found(width, extent):
    style = DrawingStyle.of(crosses(width, extent))
    assert style.bright
    assert style.extent == pytest.approx(extent / 28, abs=0.02)
    assert style.stroke == pytest.approx(width / 28, rel=0.25)


def test_ink_is_the_rarer_shade():
    images = crosses(2, 20)
    dark = DrawingStyle.of(255 - images)
    assert not dark.bright
    assert (dark.extent, dark.stroke) == pytest.approx((DrawingStyle.of(images).extent, DrawingStyle.of(images).stroke), rel=1e-4)


def test_blank_images_say_nothing():
    assert DrawingStyle.of(np.zeros((3, 1, 8, 8), np.uint8)) == DrawingStyle(True, 0.7, 0.07)
    mixed = np.concatenate([crosses(2, 20), np.zeros((3, 1, 28, 28), np.uint8)])
    assert DrawingStyle.of(mixed) == DrawingStyle.of(crosses(2, 20))
