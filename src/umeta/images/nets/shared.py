"""Knows how a network's layers work on a batch that several processes share, with the same bits for any number of processes.

A batch is always worked on in the same shares, `Team.shares`, and what is summed over images is summed in each share, then over all shares
in their order. Training amplifies a difference in the last bit a thousandfold within a few steps, so nothing less keeps runs together. Half
precision does not disturb this: a share is rounded alike in whatever process it is, and sums over shares are of float32.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.parallel import Team


def shared_conv(
    images: Float[Tensor, "n c h w"],
    weight: Float[Tensor, "d c k k"],
    bias: Float[Tensor, " d"] | None,
    conv: nn.Conv2d,
    team: Team,
) -> Float[Tensor, "n d i j"]:
    """Convolve this process's images, with stride and padding of `conv`; gradients of weight and bias are those of all images."""
    if not team.divides:
        return F.conv2d(images, weight, bias, conv.stride, conv.padding)
    return _convolved(images, weight, bias, conv.stride, conv.padding, team)


def shared_linear(vectors: Float[Tensor, "n c"], linear: nn.Linear, team: Team) -> Float[Tensor, "n d"]:
    """Apply a linear map without bias to this process's vectors; the gradient of its weight is that of all vectors."""
    if not team.divides:
        return F.linear(vectors, linear.weight)
    return _convolved(vectors[..., None, None], linear.weight[..., None, None], None, (1, 1), (0, 0), team).flatten(1)


def shared_scale(
    images: Float[Tensor, "n c h w"], weight: Float[Tensor, " c"] | None, bias: Float[Tensor, " c"], team: Team
) -> Float[Tensor, "n c h w"]:
    """Scale, where there is a weight, and shift the channels of this process's images; gradients of both are those of all images."""
    if not team.divides:
        return (images if weight is None else images * weight.view(-1, 1, 1)) + bias.view(-1, 1, 1)
    scaled: Tensor = _SharedScale.apply(images, weight, bias, team)  # type: ignore[no-untyped-call]
    return scaled


def shared_batch_norm(
    images: Float[Tensor, "n c h w"],
    weight: Float[Tensor, " c"] | None,
    bias: Float[Tensor, " c"],
    team: Team,
    epsilon: float,
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Normalize this process's images by the moments of those of all processes, and return mean and unbiased variance too.

    All gradients are those of one process that has all images, through the moments too. For images on even ground, whose maps repeat one
    value, `F.batch_norm` with channels last loses digits as it adds up: gradients of the default recipe's first step on Omniglot are off
    by 1e-2 there, and by 1e-5 here.

    Source:
        Ioffe and Szegedy 2015 (arXiv:1502.03167), over the batch of all processes. Two sums a channel are exchanged in each direction.
    """
    normalized: tuple[Tensor, Tensor, Tensor] = _SharedBatchNorm.apply(images, weight, bias, team, epsilon)  # type: ignore[no-untyped-call]
    return normalized


def _convolved(images: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...], padding: Any, team: Team) -> Tensor:
    device = images.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else images.dtype
    convolved: Tensor = _SharedConv.apply(images.to(dtype), weight, bias, stride, padding, team)  # type: ignore[no-untyped-call]
    return convolved


class _SharedConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...], padding: tuple[int, ...], team: Team
    ) -> Tensor:
        ctx.how, ctx.team, ctx.biased, ctx.dtype = (stride, padding), team, bias is not None, weight.dtype
        weight, bias = weight.to(images.dtype), None if bias is None else bias.to(images.dtype)
        ctx.save_for_backward(images, weight)
        return torch.cat([F.conv2d(images[share], weight, bias, stride, padding) for share in team.shares()])

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        wanted, sizes = [ctx.needs_input_grad[0], True, ctx.biased], [len(weight)] if ctx.biased else None
        of_images, of_weight, of_bias = zip(
            *(
                torch.ops.aten.convolution_backward(
                    slopes[0][share], images[share], weight, sizes, *ctx.how, (1, 1), False, (0, 0), 1, wanted
                )
                for share in ctx.team.shares()
            ),
            strict=True,
        )
        return (
            torch.cat(of_images) if wanted[0] else None,
            ctx.team.summed([one.to(ctx.dtype) for one in of_weight]),
            ctx.team.summed([one.to(ctx.dtype) for one in of_bias]) if ctx.biased else None,
            None,
            None,
            None,
        )


class _SharedScale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor | None, bias: Tensor, team: Team) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.team = team
        return (images if weight is None else images * weight.view(-1, 1, 1)) + bias.view(-1, 1, 1)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None]:
        images, weight = ctx.saved_tensors
        slope, shares = slopes[0], ctx.team.shares()
        of_bias = ctx.team.summed([slope[share].sum((0, 2, 3)) for share in shares])
        if weight is None:
            return slope, None, of_bias, None
        of_weight = ctx.team.summed([(slope[share] * images[share]).sum((0, 2, 3)) for share in shares])
        return slope * weight.view(-1, 1, 1), of_weight, of_bias, None


class _SharedBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor | None, bias: Tensor, team: Team, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
        sums = team.summed([_moments(images[share]) for share in team.shares()])
        n = int(sums[0, 0])
        center = sums[1] / n
        mean, var = center.to(bias.dtype), (sums[2] / n - center.square()).clamp(min=0).to(bias.dtype)
        ctx.save_for_backward(images, weight, mean, var)
        ctx.team, ctx.epsilon, ctx.n = team, epsilon, n
        unbiased = var * (n / max(n - 1, 1))
        ctx.mark_non_differentiable(mean, unbiased)
        return F.batch_norm(images, mean, var, weight, bias, False, 0.0, epsilon), mean, unbiased

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None, None]:
        images, weight, mean, var = ctx.saved_tensors
        shares, gain, center = ctx.team.shares(), torch.rsqrt(var + ctx.epsilon), mean.view(-1, 1, 1)
        parts = [(slopes[0][share].to(mean.dtype), images[share] - center) for share in shares]
        sums = [torch.stack([_sum(slope), _sum(slope * apart) * gain]) for slope, apart in parts]
        of_bias, of_weight = ctx.team.summed(sums)
        scale = gain if weight is None else gain * weight
        # What passes: the slope without its mean and without its part along the normalized image.
        along, level = (of_weight / ctx.n * gain * scale).view(-1, 1, 1), (of_bias / ctx.n * scale).view(-1, 1, 1)
        of_images = torch.empty_like(images)
        for share, (slope, apart) in zip(shares, parts, strict=True):
            of_images[share] = (slope * scale.view(-1, 1, 1)).sub_(level).sub_(apart.mul_(along))
        return of_images, None if weight is None else of_weight, of_bias, None, None


def _sum(images: Float[Tensor, "n c h w"]) -> Float[Tensor, " c"]:
    """Return the sum of every channel, as a product with ones, which is several times as fast as a reduction with channels last."""
    rows = images.permute(0, 2, 3, 1).flatten(0, 2)
    return rows.new_ones(len(rows)) @ rows


def _moments(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "3 c"]:
    """Return number, sum and sum of squares of every channel, in double precision, added up about a point amid the values."""
    center = images[:1].mean((2, 3), dtype=torch.promote_types(images.dtype, torch.float32)).T[..., None]
    apart = images - center
    n, shift = images.numel() // images.shape[1], center.flatten().double()
    total, square = _sum(apart).double(), _sum(apart.square_()).double()
    return torch.stack([torch.full_like(total, n), total + n * shift, square + 2 * shift * total + n * shift.square()])
