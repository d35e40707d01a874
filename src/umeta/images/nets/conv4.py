"""Knows the four-block convolutional network that few-shot papers compare on, in its pooled and its strided form."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from umeta.core.parallel import ALONE, Team
from umeta.images.nets.shared import shared_batch_norm, shared_conv, shared_scale

Downsample = Literal["pool", "stem", "coarse", "stride"]
EPSILON = 1e-5
MOMENTUM = 0.1
COARSE_SIDE = 64
PATCHES_AT_ONCE = 128
Normalization = Literal["batch", "layer", "none"]


class BatchNorm(nn.Module):
    """Normalize channels by stored statistics or by those of the call, by explicit choice.

    Args:
        n_channels: Channels of the input.
        stored: True keeps running averages, updated in training mode and used in evaluation mode, so that one image's result never depends
            on another. False uses the statistics of the images in the call, in either mode, and has no buffers, so that
            `torch.func.vmap` can run it.
        scale: Whether there is a learned scale beside the learned shift.

    Attributes:
        once_differentiable: Set it where no second derivative is taken, for a kernel several times as fast.
        team: The processes that share the images of a call; stored statistics are of the images of all.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, n_channels: int, *, stored: bool, scale: bool = True) -> None:
        super().__init__()
        self.stored = stored
        self.once_differentiable = False
        self.team = ALONE
        self.weight = nn.Parameter(torch.ones(n_channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(n_channels))
        if stored:
            self.register_buffer("mean", torch.zeros(n_channels))
            self.register_buffer("var", torch.ones(n_channels))

    def forward(self, images: Float[Tensor, "n c h w"], n_reference: int | None = None) -> Float[Tensor, "n c h w"]:
        """Normalize; `n_reference` takes the statistics from the first so many images only (a support set, say)."""
        if self.stored:
            assert n_reference is None, "stored statistics need no reference"
            if self.training and self.team.divides:
                normalized, mean, var = shared_batch_norm(images, self.weight, self.bias, self.team, EPSILON)
                self._follow(mean, var)
                return normalized
            return F.batch_norm(images, self.mean, self.var, self.weight, self.bias, self.training, MOMENTUM, EPSILON)
        if n_reference is None and self.once_differentiable and images[:, 0].numel() > 1:
            return F.batch_norm(images, None, None, self.weight, self.bias, training=True, eps=EPSILON)
        # Not F.batch_norm: under vmap its second derivative takes the statistics for constants, and MAML's gradient is wrong without
        # an error (pytorch/functorch issue 534).
        reference = images if n_reference is None else images[:n_reference]
        mean = reference.mean((0, 2, 3), keepdim=True)
        var = (reference - mean).square().mean((0, 2, 3), keepdim=True)
        gain = torch.rsqrt(var + EPSILON)
        if self.weight is not None:
            gain = gain * self.weight.view(-1, 1, 1)
        return (images - mean) * gain + self.bias.view(-1, 1, 1)

    def settled(self, conv: nn.Conv2d) -> tuple[Float[Tensor, "out c 3 3"], Float[Tensor, " out"]]:
        """Return weight and bias of the convolution whose result is that of `conv`, normalized by the stored statistics."""
        gain = torch.rsqrt(self.var + EPSILON)
        if self.weight is not None:
            gain = gain * self.weight
        return conv.weight * gain.view(-1, 1, 1, 1), self.bias - self.mean * gain

    def folded(self, conv: nn.Conv2d, images: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "out c 3 3"], Float[Tensor, " out"]]:
        """Return weight and bias of the convolution whose result is that of `conv` on these images, normalized as in training.

        A channel's mean and variance over the images follow from the moments of their patches, so that no map is read to normalize it, and
        none is read again for the gradient, which flows to weights, not to the images. The running averages move as in `forward`.

        Args:
            conv: Without bias.
            images: What it is about to see.
        """
        with torch.autocast(images.device.type, enabled=False):
            with torch.no_grad():
                mean, covariance, n = patch_moments(images.to(conv.weight.dtype), conv, self.team)
            weight = conv.weight.flatten(1)
            center, var = weight @ mean, ((weight @ covariance) * weight).sum(1)
            self._follow(center, var * (n / max(n - 1, 1)))
            gain = torch.rsqrt(var + EPSILON)
            if self.weight is not None:
                gain = gain * self.weight
            return conv.weight * gain.view(-1, 1, 1, 1), self.bias - center * gain

    @torch.no_grad()
    def _follow(self, mean: Float[Tensor, " c"], var: Float[Tensor, " c"]) -> None:
        self.mean.lerp_(mean, MOMENTUM)
        self.var.lerp_(var, MOMENTUM)


class ImageNorm(nn.Module):
    """Normalize each image by itself, or not at all, then scale and shift channels.

    Args:
        n_channels: Channels of the input.
        centered: True brings the whole map of an image to mean 0 and variance 1, as layer normalization does; False leaves it.
        scale: Whether there is a learned scale beside the learned shift.
    """

    def __init__(self, n_channels: int, *, centered: bool, scale: bool) -> None:
        super().__init__()
        self.centered, self.team = centered, ALONE
        self.weight = nn.Parameter(torch.ones(n_channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(n_channels))

    def forward(self, images: Float[Tensor, "n c h w"], n_reference: int | None = None) -> Float[Tensor, "n c h w"]:
        """Normalize; `n_reference` has no meaning here."""
        out = images
        if self.centered:
            out = out - out.mean((1, 2, 3), keepdim=True)
            out = out * torch.rsqrt(out.square().mean((1, 2, 3), keepdim=True) + EPSILON)
        return shared_scale(out, self.weight, self.bias, self.team)


def patch_moments(
    images: Float[Tensor, "n c h w"], conv: nn.Conv2d, team: Team = ALONE
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"], int]:
    """Return mean and covariance of patches that a convolution looks at, d = c * kernel area, and their number, over a team's images."""
    size, stride, padding = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    assert not isinstance(padding, str)

    def moments(share: Tensor) -> Tensor:
        total, center = share.new_zeros(()).double(), share.new_zeros(())
        for part in torch.split(F.pad(share, [padding] * 4), PATCHES_AT_ONCE):
            windows = part.unfold(2, size, stride).unfold(3, size, stride)
            patches = windows.permute(1, 4, 5, 0, 2, 3).flatten(0, 2).flatten(1)
            if not center.ndim:
                # About a point amid them: on even ground, moments about 0 are large and their difference has few digits left.
                center = patches.mean(1, keepdim=True)
            patches = torch.cat([patches - center, torch.ones_like(patches[:1])])
            each = patches.view(len(patches), len(part), -1).transpose(0, 1)
            total = total + (each @ each.mT).double().sum(0)
        shift = torch.eye(len(total), dtype=total.dtype, device=total.device)
        shift[:-1, -1:] = center
        return shift @ total @ shift.T

    sums = team.summed([moments(images[share]) for share in team.shares()]) if team.divides else moments(images)
    n, mean = int(sums[-1, -1]), sums[:-1, -1] / sums[-1, -1]
    return mean.to(images.dtype), (sums[:-1, :-1] / n - torch.outer(mean, mean)).to(images.dtype), n


@dataclass(frozen=True)
class Conv4Config:
    """Which Conv4.

    Attributes:
        channels: Of the input image.
        side: Of the input image, in pixels.
        width: Filters in each block.
        downsample: "pool" halves by 2 x 2 maxima after each block and lays out the last map as the vector (ProtoNets); "stem" the same, but
            the first block halves by its convolution's stride, for half the time; "coarse" the same, but the first block halves once more,
            by maxima, so that photos of 84 pixels cost little more than those of 42 do under "stem"; "stride" uses convolutions of stride 2
            everywhere and, unless it is `flat`, averages the last map over its places (MAML on Omniglot).
        stored: Whether normalization uses stored statistics; see `BatchNorm`.
        scale: Whether normalization has a learned scale (absent in the MAML authors' code).
        flat: Lay out the last map as the vector under "stride" too: where in a photo something is tells what it is.
        signed: Leave out the rectifier, and the pooling, of the last block: for cosines, which directions of one sign would crowd.
        halved: Average the image over 2 x 2 pixels first: weights that move within a task cost many times what stored ones do.
        normalization: "batch"; "layer": each image by the mean and variance of its own map; or "none". Without batches no image's result
            depends on another, and `stored` has no meaning.
    """

    channels: int
    side: int
    width: int = 64
    downsample: Downsample = "pool"
    stored: bool = True
    scale: bool = True
    signed: bool = False
    flat: bool = False
    halved: bool = False
    normalization: Normalization = "batch"

    @classmethod
    def adapted(
        cls, channels: int, side: int, width: int = 32, normalization: Normalization = "batch", *, coarse: bool = True
    ) -> "Conv4Config":
        """Return the strided network whose weights move within a task.

        Its last map is averaged unless the images are in color; large images are `halved` if it may be `coarse`.
        """
        halved, flat = coarse and side >= COARSE_SIDE, channels == 3
        return cls(channels, side, width, "stride", stored=False, scale=False, flat=flat, halved=halved, normalization=normalization)

    @property
    def together(self) -> bool:
        """Whether one image's vector depends on the others in the call."""
        return self.normalization == "batch" and not self.stored

    @property
    def averages(self) -> bool:
        """Return whether the output is the mean of the last map over its places."""
        return self.downsample == "stride" and not self.flat

    @property
    def n_dim(self) -> int:
        """Dimensions of the output."""
        if self.averages:
            return self.width
        side = self.side // 2 if self.halved else self.side
        for block in range(4):
            side = (side + 1) // 2 if self.strides(block) else side
            side = max(side // 2, 1) if self.pools(block) else side
        return self.width * side**2

    def strides(self, block: int) -> bool:
        """Return whether a block, counted from 0, halves by its convolution's stride instead of by pooling."""
        return self.downsample == "stride" or (self.downsample in ("stem", "coarse") and block == 0)

    def pools(self, block: int) -> bool:
        """Return whether a block, counted from 0, ends with 2 x 2 maxima."""
        return (not self.strides(block) or self.downsample == "coarse") and not self.ends_signed(block)

    def ends_signed(self, block: int) -> bool:
        """Return whether a block, counted from 0, is left as it is normalized."""
        return self.signed and block == 3


def quick_downsample(side: int) -> Downsample:
    """Return the form of a Conv4 that sees most images of a side, in pixels, in a short time."""
    return "coarse" if side >= COARSE_SIDE else "stem"


class Conv4(nn.Module):
    """Four times: 3 x 3 convolution, batch normalization, rectifier, half the size.

    Args:
        config: Which one.
        generator: Draws the initial weights (Xavier uniform, zero bias).

    Source:
        Vinyals et al. 2016 (arXiv:1606.04080), as used by Snell et al. 2017 (pooled, 64 filters) and Finn et al. 2017 (strided on
        Omniglot).
    """

    def __init__(self, config: Conv4Config, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.team = config, ALONE
        widths = [config.channels, *[config.width] * 4]
        self.convs = nn.ModuleList(
            skip_init(nn.Conv2d, n_in, n_out, 3, stride=2 if config.strides(block) else 1, padding=1, bias=False)  # type: ignore[no-untyped-call]
            for block, (n_in, n_out) in enumerate(pairwise(widths))
        )
        self.norms = nn.ModuleList(_normalization(config) for _ in range(4))
        with torch.no_grad():
            for conv in self.convs:
                assert isinstance(conv, nn.Conv2d)
                nn.init.xavier_uniform_(conv.weight, generator=generator)

    def forward(self, images: Float[Tensor, "n c h w"], n_reference: int | None = None) -> Float[Tensor, "n dim"]:
        """Embed images; `n_reference` as in `BatchNorm`."""
        out = F.avg_pool2d(images, 2) if self.config.halved else images
        for block, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            assert isinstance(conv, nn.Conv2d)
            stored = norm if isinstance(norm, BatchNorm) and norm.stored else None
            if stored is not None and not self.training:
                assert n_reference is None, "stored statistics need no reference"
                out = F.conv2d(out, *stored.settled(conv), stride=conv.stride, padding=conv.padding)
            elif stored is not None and block == 0 and not images.requires_grad:
                out = shared_conv(out, *stored.folded(conv, out), conv, self.team)
            else:
                out = norm(shared_conv(out, conv.weight, None, conv, self.team), n_reference)
            # The rectifier and a maximum change places without changing values or gradients, and then it has a quarter of the work.
            if self.config.pools(block) and out.shape[-1] > 1:
                out = F.max_pool2d(out, 2)
            if not self.config.ends_signed(block):
                out = F.relu(out)
        return out.mean((2, 3)) if self.config.averages else out.flatten(1)


def _normalization(config: Conv4Config) -> BatchNorm | ImageNorm:
    if config.normalization == "batch":
        return BatchNorm(config.width, stored=config.stored, scale=config.scale)
    return ImageNorm(config.width, centered=config.normalization == "layer", scale=config.scale)
