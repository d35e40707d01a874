"""Knows the strided convolutional networks that generate images from codes, and judge them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from umeta.images.nets.conv4 import BatchNorm

LEAK = 0.2
STD = 0.02
LEAST_SIDE = 4


def linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """Build a linear layer with small normal weights and zero bias."""
    layer: nn.Linear = skip_init(nn.Linear, n_in, n_out)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight.normal_(0.0, n_in**-0.5, generator=generator)
        nn.init.zeros_(layer.bias)
    return layer


class Generator(nn.Module):
    """Draw an image from a code by transposed convolutions of stride 2.

    Args:
        n_code: Dimensions of the code.
        channels: Of the image.
        width: Channels before the last layer; doubled at each scale toward the code.
        n_scales: How often the 4 x 4 start is doubled.
        generator: Draws the initial weights.

    Source:
        Radford et al. 2016, DCGAN (arXiv:1511.06434). Departure: images lie in `[0, 1]`, so the last layer is a sigmoid.
    """

    def __init__(self, n_code: int, channels: int, width: int, n_scales: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [width << scale for scale in reversed(range(n_scales))]
        self.start = linear(n_code, widths[0] * LEAST_SIDE**2, generator)
        self.convs = nn.ModuleList()
        for n_in, n_out in zip(widths, [*widths[1:], channels], strict=True):
            conv: nn.Module = skip_init(nn.ConvTranspose2d, n_in, n_out, 4, stride=2, padding=1, bias=n_out == channels)  # type: ignore[no-untyped-call]
            self.convs.append(conv)
        self.norms = nn.ModuleList(BatchNorm(n, stored=True) for n in widths)
        _small_weights(self.convs, generator)

    def forward(self, codes: Float[Tensor, "n code"]) -> Float[Tensor, "n c s s"]:
        """Return images in `[0, 1]`."""
        out: Tensor = self.start(codes).unflatten(1, (-1, LEAST_SIDE, LEAST_SIDE))
        out = out.contiguous(memory_format=torch.channels_last)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            out = conv(F.relu(norm(out)))
        return out.float().sigmoid()


class Judge(nn.Module):
    """Squeeze an image into one vector by convolutions of stride 2: the trunk of encoders and discriminators.

    Args:
        channels: Of the image.
        width: Channels after the first layer; doubled at each scale.
        n_scales: How often the side is halved, down to 4 x 4.
        generator: Draws the initial weights.

    Source:
        Radford et al. 2016, DCGAN (arXiv:1511.06434).
    """

    def __init__(self, channels: int, width: int, n_scales: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [width << scale for scale in range(n_scales)]
        self.convs = nn.ModuleList()
        for n_in, n_out in zip([channels, *widths], widths, strict=False):
            conv: nn.Module = skip_init(nn.Conv2d, n_in, n_out, 4, stride=2, padding=1, bias=n_in == channels)  # type: ignore[no-untyped-call]
            self.convs.append(conv)
        self.norms = nn.ModuleList(BatchNorm(n, stored=True) for n in widths[1:])
        self.n_dim = widths[-1] * LEAST_SIDE**2
        _small_weights(self.convs, generator)

    def forward(self, images: Float[Tensor, "n c s s"]) -> Float[Tensor, "n dim"]:
        """Return the last map as a vector."""
        out: Tensor = F.leaky_relu(self.convs[0](images), LEAK)
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            out = F.leaky_relu(norm(conv(out)), LEAK)
        return out.flatten(1)


def _small_weights(convs: nn.ModuleList, generator: torch.Generator) -> None:
    with torch.no_grad():
        for conv in convs:
            conv.weight.normal_(0.0, STD, generator=generator)  # type: ignore[operator]
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
