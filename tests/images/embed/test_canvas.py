"""The canvas: pads in the middle, or shrinks."""

import torch

from umeta.images.embed.canvas import canvas_side, n_scales, to_canvas


def test_the_canvas_pads_in_the_middle_or_shrinks():
    assert [canvas_side(side) for side in (1, 32, 42, 48, 49, 84)] == [32, 32, 32, 32, 64, 64]
    assert [n_scales(side) for side in (28, 42, 84)] == [3, 3, 4]
    canvas = to_canvas(torch.ones(2, 1, 27, 27))
    assert canvas.shape == (2, 1, 32, 32)
    assert canvas[:, :, 2:29, 2:29].min() == 1
    assert canvas.sum() == 2 * 27 * 27
    assert to_canvas(torch.ones(1, 3, 84, 84)).shape == (1, 3, 64, 64)
    whole = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(to_canvas(whole), whole)


def test_images_between_are_shrunk_or_padded_to_the_canvas():
    assert to_canvas(torch.rand(1, 3, 42, 42)).shape == (1, 3, 32, 32)
    assert to_canvas(torch.rand(1, 3, 50, 50)).shape == (1, 3, 64, 64)
