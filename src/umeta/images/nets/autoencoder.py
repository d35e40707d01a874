"""Knows the convolutional autoencoder and critic of Berthelot et al. 2018."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import skip_init

LEAK = 0.2


def _conv(n_in: int, n_out: int, kernel: int, generator: torch.Generator) -> nn.Conv2d:
    """Build a same-size convolution with the He initialization for a leaky rectifier, and zero bias."""
    conv: nn.Conv2d = skip_init(nn.Conv2d, n_in, n_out, kernel, padding=kernel // 2)  # type: ignore[no-untyped-call]
    std = (2 / ((1 + LEAK**2) * n_in * kernel * kernel)) ** 0.5
    with torch.no_grad():
        conv.weight.normal_(0.0, std, generator=generator)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _stack(n_in: int, n_out: int, generator: torch.Generator) -> list[nn.Module]:
    return [
        _conv(n_in, n_out, 3, generator),
        nn.LeakyReLU(LEAK),
        _conv(n_out, n_out, 3, generator),
        nn.LeakyReLU(LEAK),
    ]


class ConvEncoder(nn.Module):
    """Squeeze an image into a small spatial code by repeated 3x3 convolutions and average pooling.

    Args:
        channels: Channels of the input image.
        depth: Channels at full resolution; doubled after every pooling.
        latent: Channels of the code.
        n_scales: How often the resolution is halved.
        generator: Draws the initial weights.

    Source:
        Berthelot et al. 2018 (arXiv:1807.07543), appendix and code: 1x1 stem, two 3x3 convolutions and an average pooling per scale,
        two more 3x3 convolutions, linear code.
    """

    def __init__(self, channels: int, depth: int, latent: int, n_scales: int, generator: torch.Generator) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(channels, depth, 1, generator)]
        width = depth
        for scale in range(n_scales):
            layers += _stack(width, depth << scale, generator)
            layers.append(nn.AvgPool2d(2))
            width = depth << scale
        layers += [_conv(width, depth << n_scales, 3, generator), nn.LeakyReLU(LEAK)]
        layers.append(_conv(depth << n_scales, latent, 3, generator))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n latent s s"]:
        """Return the code; `s` is the side divided by `2 ** n_scales`."""
        out: Tensor = self.layers(images)
        return out


class ConvDecoder(nn.Module):
    """Draw the image that a code stands for; the encoder's mirror, with nearest-neighbor upsampling.

    Args:
        channels: Channels of the output image.
        depth: Channels at full resolution.
        latent: Channels of the code.
        n_scales: How often the resolution is doubled.
        generator: Draws the initial weights.

    Source:
        Berthelot et al. 2018 (arXiv:1807.07543), appendix and code.
    """

    def __init__(self, channels: int, depth: int, latent: int, n_scales: int, generator: torch.Generator) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = latent
        for scale in reversed(range(n_scales)):
            layers += _stack(width, depth << scale, generator)
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            width = depth << scale
        layers += [_conv(width, depth, 3, generator), nn.LeakyReLU(LEAK), _conv(depth, channels, 3, generator)]
        self.layers = nn.Sequential(*layers)

    def forward(self, codes: Float[Tensor, "n latent s s"]) -> Float[Tensor, "n c h w"]:
        """Return images; not clipped to `[0, 1]`."""
        out: Tensor = self.layers(codes)
        return out
