"""Knows how to change images without changing what they show, a whole batch in one tensor operation."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from umeta.core.rng import Rng


@dataclass(frozen=True)
class RandomAffine:
    """Turn, scale, shear and shift every image by its own random amounts; what comes in from outside repeats the edge.

    Attributes:
        rotation_deg: Turn, uniform in plus or minus so many degrees.
        scale: Size is multiplied by a factor uniform in `[1 - scale, 1 + scale]`, for width and height apart.
        shear: Shear factor, uniform in plus or minus so much.
        shift: Shift along each axis, uniform in plus or minus this share of the side.
    """

    rotation_deg: float = 15.0
    scale: float = 0.2
    shear: float = 0.2
    shift: float = 0.1

    def __call__(self, images: Float[Tensor, "n c h w"], rng: Rng) -> Float[Tensor, "n c h w"]:
        """Return changed images; image `i` depends on `rng` and `i` alone."""
        draws = torch.rand(len(images), 6, generator=rng.torch()).mul(2).sub(1).to(images.device)
        angle = draws[:, 0] * math.radians(self.rotation_deg)
        width, height = 1 + self.scale * draws[:, 1], 1 + self.scale * draws[:, 2]
        shear, across, down = self.shear * draws[:, 3], 2 * self.shift * draws[:, 4], 2 * self.shift * draws[:, 5]
        cos, sin = angle.cos(), angle.sin()
        rows = (
            torch.stack([cos / width, (shear * cos - sin) / height, across], -1),
            torch.stack([sin / width, (shear * sin + cos) / height, down], -1),
        )
        grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
