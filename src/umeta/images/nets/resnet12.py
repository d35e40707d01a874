"""Knows the residual network of twelve convolutions that few-shot papers compare on where images have color."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from umeta.core.parallel import ALONE
from umeta.images.nets.conv4 import BatchNorm
from umeta.images.nets.shared import shared_conv

LEAK = 0.1


@dataclass(frozen=True)
class ResNet12Config:
    """Which ResNet-12.

    Attributes:
        channels: Of the input image.
        side: Of the input image, in pixels.
        widths: Filters in each of the four blocks; 64, 160, 320, 640 are the published ones, a quarter of them costs a fifteenth.
        stored: Whether normalization uses stored statistics; see `BatchNorm`.
    """

    channels: int
    side: int
    widths: tuple[int, ...] = (64, 160, 320, 640)
    stored: bool = True

    @property
    def n_dim(self) -> int:
        """Dimensions of the output."""
        return self.widths[-1]

    @property
    def together(self) -> bool:
        """Whether one image's vector depends on the others in the call."""
        return not self.stored


class ResidualBlock(nn.Module):
    """Three 3 x 3 convolutions beside a 1 x 1 convolution, each normalized; their sum is rectified and halved by maxima."""

    def __init__(self, n_in: int, n_out: int, *, stored: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.team = ALONE
        shapes = [(n_in, 3), (n_out, 3), (n_out, 3), (n_in, 1)]
        self.convs = nn.ModuleList(
            skip_init(nn.Conv2d, n, n_out, size, padding=size // 2, bias=False)  # type: ignore[no-untyped-call]
            for n, size in shapes
        )
        self.norms = nn.ModuleList(BatchNorm(n_out, stored=stored) for _ in shapes)
        with torch.no_grad():
            for conv in self.convs:
                assert isinstance(conv, nn.Conv2d)
                nn.init.kaiming_normal_(conv.weight, a=LEAK, mode="fan_out", generator=generator)

    def forward(self, images: Float[Tensor, "n c h w"], n_reference: int | None = None) -> Float[Tensor, "n d i j"]:
        """Run the block; `n_reference` as in `BatchNorm`."""
        out = images
        for number in range(2):
            out = F.leaky_relu(self._normed(number, out, n_reference), LEAK)
        out = F.leaky_relu(self._normed(2, out, n_reference) + self._normed(3, images, n_reference), LEAK)
        return F.max_pool2d(out, 2) if out.shape[-1] > 1 else out

    def _normed(self, number: int, images: Tensor, n_reference: int | None) -> Tensor:
        conv = self.convs[number]
        assert isinstance(conv, nn.Conv2d)
        normed: Tensor = self.norms[number](shared_conv(images, conv.weight, None, conv, self.team), n_reference)
        return normed


class ResNet12(nn.Module):
    """Four residual blocks and the mean over places.

    Args:
        config: Which one.
        generator: Draws the initial weights (He normal).

    Source:
        Lee et al. 2019, "Meta-Learning with Differentiable Convex Optimization" (arXiv:1904.03758), section 4.1. Departure: no dropout
        and no dropped blocks.
    """

    def __init__(self, config: ResNet12Config, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(
            ResidualBlock(n_in, n_out, stored=config.stored, generator=generator)
            for n_in, n_out in pairwise([config.channels, *config.widths])
        )

    def forward(self, images: Float[Tensor, "n c h w"], n_reference: int | None = None) -> Float[Tensor, "n dim"]:
        """Embed images; `n_reference` as in `BatchNorm`."""
        out = images
        for block in self.blocks:
            out = block(out, n_reference)
        return out.mean((2, 3))
