"""Knows the square that autoencoders and generators draw on."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def canvas_side(side: int) -> int:
    """Return the side that such a network works at: 32 for images up to 48 pixels, else 64."""
    return 32 if side <= 48 else 64


def n_scales(side: int) -> int:
    """Return how often the canvas of images of a side is halved until it has 4 x 4 places."""
    return 3 if canvas_side(side) == 32 else 4


def to_canvas(images: Float[Tensor, "n c h h"]) -> Float[Tensor, "n c s s"]:
    """Pad images with zeros, centered, or shrink larger ones, to the canvas."""
    height, target = images.shape[-1], canvas_side(images.shape[-1])
    if height > target:
        images = F.interpolate(images, size=(target, target), mode="bilinear", antialias=True, align_corners=False)
    elif height < target:
        before = (target - height) // 2
        after = target - height - before
        images = F.pad(images, (before, after, before, after))
    return images.contiguous(memory_format=torch.channels_last)
