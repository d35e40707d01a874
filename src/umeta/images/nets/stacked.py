"""Knows how a strided Conv4 runs for many tasks at once, each with weights of its own: a convolution is a batched matrix product."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from umeta.images.nets.conv4 import EPSILON, Conv4Config

KERNEL = 3


def stacked_conv4(
    config: Conv4Config, weights: Mapping[str, Tensor], images: Float[Tensor, "n_task n c h w"], n_reference: int | None = None
) -> Float[Tensor, "n_task n dim"]:
    """Embed images as `Conv4` does, those of each task with its own weights.

    Under `torch.func.vmap` a convolution with weights of its own for every task becomes a grouped convolution, which runs at a fraction of
    the speed of a matrix product, in its second derivatives above all. Here all maps are laid out channels last, patches are copied side
    by side, and the rest is `torch.bmm`. Statistics of the first block follow from the moments of its patches, as in
    `BatchNorm.folded`, so that the largest maps are never read to be normalized.

    Args:
        config: Strided.
        weights: Named as `Conv4`'s parameters, each with a leading task axis.
        images: Gradients do not flow to them.
        n_reference: As in `BatchNorm`.
    """
    n = images.shape[1]
    if config.halved:
        means = F.avg_pool2d(images.flatten(0, 1), 2)
        images = means.view(-1, n, *means.shape[1:])
    maps = images.movedim(2, -1)
    for block in range(4):
        patches = _Patches.apply(maps.flatten(0, 1))  # type: ignore[no-untyped-call]
        height, width = patches.shape[1:3]
        columns = patches.view(len(images), n * height * width, -1)
        kernel = weights[f"convs.{block}.weight"].movedim(-3, -1).flatten(2).mT
        shift, scale = weights[f"norms.{block}.bias"].unsqueeze(1), weights.get(f"norms.{block}.weight")
        rows = (n_reference or n) * height * width
        if block == 0 and config.normalization == "batch":
            with torch.no_grad():
                mean = columns[:, :rows].mean(1, keepdim=True)
                apart = columns[:, :rows] - mean
                covariance = apart.mT @ apart / rows
            gain = torch.rsqrt(((covariance @ kernel) * kernel).sum(1, keepdim=True) + EPSILON)
            kernel = kernel * (gain if scale is None else gain * scale.unsqueeze(1))
            out = torch.baddbmm(shift - mean @ kernel, columns, kernel)
        else:
            out = columns @ kernel
            if config.normalization == "batch":
                out = out - out[:, :rows].mean(1, keepdim=True)
                gain = torch.rsqrt(out[:, :rows].square().mean(1, keepdim=True) + EPSILON)
                out = out * (gain if scale is None else gain * scale.unsqueeze(1)) + shift
            else:
                own = out.view(len(images), n, -1)
                if config.normalization == "layer":
                    own = own - own.mean(2, keepdim=True)
                    own = own * torch.rsqrt(own.square().mean(2, keepdim=True) + EPSILON)
                out = own.view(out.shape) * (1 if scale is None else scale.unsqueeze(1)) + shift
        maps = (out if config.ends_signed(block) else F.relu(out)).view(len(images), n, height, width, -1)
    return maps.mean((2, 3)) if config.averages else maps.movedim(-1, 2).flatten(2)


class _Patches(torch.autograd.Function):
    """Lay out the 3 x 3 patches that a convolution of stride 2 sees; the derivative adds up what overlaps, and the other way round."""

    @staticmethod
    def forward(ctx: Any, maps: Float[Tensor, "n h w c"]) -> Float[Tensor, "n i j k"]:
        ctx.size = maps.shape[1:3]
        return _patches(maps)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> Tensor:
        summed: Tensor = _Overlap.apply(slopes, *ctx.size)  # type: ignore[no-untyped-call]
        return summed


class _Overlap(torch.autograd.Function):
    """Add patches up where they overlap."""

    @staticmethod
    def forward(ctx: Any, patches: Float[Tensor, "n i j k"], height: int, width: int) -> Float[Tensor, "n h w c"]:
        return _overlap(patches, height, width)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None, None]:
        laid: Tensor = _Patches.apply(slopes)  # type: ignore[no-untyped-call]
        return laid, None, None


def _patches(maps: Float[Tensor, "n h w c"]) -> Float[Tensor, "n i j k"]:
    n, height, width, channels = maps.shape
    padded = F.pad(maps, (0, 0, 1, 1, 1, 1))
    image, row, column, channel = padded.stride()
    shape = (n, (height + 1) // 2, (width + 1) // 2, KERNEL, KERNEL, channels)
    return padded.as_strided(shape, (image, 2 * row, 2 * column, row, column, channel)).flatten(3)


def _overlap(patches: Float[Tensor, "n i j k"], height: int, width: int) -> Float[Tensor, "n h w c"]:
    n, rows, columns, _ = patches.shape
    taps = patches.view(n, rows, columns, KERNEL, KERNEL, -1)
    maps = taps.new_empty(n, height, width, taps.shape[-1])
    # A place of even row and column lies in the middle of one patch; one of odd row lies in the last row of a patch and in the first row of
    # the patch below it, where there is one.
    down, right = min(height // 2, rows - 1), min(width // 2, columns - 1)
    tall, wide = height // 2, width // 2
    maps[:, 0::2, 0::2] = taps[:, :, :, 1, 1]
    maps[:, 0::2, 1::2] = taps[:, :, :wide, 1, 2]
    maps[:, 0::2, 1::2][:, :, :right] += taps[:, :, 1 : right + 1, 1, 0]
    maps[:, 1::2, 0::2] = taps[:, :tall, :, 2, 1]
    maps[:, 1::2, 0::2][:, :down] += taps[:, 1 : down + 1, :, 0, 1]
    corner = maps[:, 1::2, 1::2]
    corner.copy_(taps[:, :tall, :wide, 2, 2])
    corner[:, :, :right] += taps[:, :tall, 1 : right + 1, 2, 0]
    corner[:, :down] += taps[:, 1 : down + 1, :wide, 0, 2]
    corner[:, :down, :right] += taps[:, 1 : down + 1, 1 : right + 1, 0, 0]
    return maps
