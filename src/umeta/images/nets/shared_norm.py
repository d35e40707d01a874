"""Knows how processes that share a batch of images normalize it as one process would."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from umeta.core.parallel import Team


def shared_batch_norm(
    images: Float[Tensor, "n c h w"],
    weight: Float[Tensor, " c"] | None,
    bias: Float[Tensor, " c"],
    team: Team,
    epsilon: float,
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Normalize this process's images by the moments of those of all processes, and return mean and unbiased variance too.

    The gradient is that of one process that has all images, through the moments too; those of `weight` and `bias` are of this process's
    images, to be averaged like all others.

    Source:
        Ioffe and Szegedy 2015 (arXiv:1502.03167), over the batch of all processes. Two sums a channel are exchanged in each direction.
    """
    normalized: tuple[Tensor, Tensor, Tensor] = _SharedBatchNorm.apply(images, weight, bias, team, epsilon)  # type: ignore[no-untyped-call]
    return normalized


class _SharedBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor | None, bias: Tensor, team: Team, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
        own_var, own_mean = (moment.double() for moment in torch.var_mean(images, (0, 2, 3), correction=0))
        n_own = images.numel() // images.shape[1]
        sums = team.total(torch.stack([torch.full_like(own_mean, n_own), n_own * own_mean, n_own * (own_var + own_mean.square())]))
        n = int(sums[0, 0])
        center = sums[1] / n
        mean, var = center.float(), (sums[2] / n - center.square()).clamp(min=0).float()
        ctx.save_for_backward(images, weight, mean, var)
        ctx.team, ctx.epsilon, ctx.n = team, epsilon, n
        unbiased = var * (n / max(n - 1, 1))
        ctx.mark_non_differentiable(mean, unbiased)
        return F.batch_norm(images, mean, var, weight, bias, False, 0.0, epsilon), mean, unbiased

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None, None]:
        images, weight, mean, var = ctx.saved_tensors
        slope = slopes[0]
        gain = torch.rsqrt(var + ctx.epsilon)
        centered = images - mean.view(-1, 1, 1)
        of_bias, of_weight = slope.sum((0, 2, 3)), (slope * centered).sum((0, 2, 3)) * gain
        all_bias, all_weight = ctx.team.total(torch.stack([of_bias, of_weight])) / ctx.n
        scale = gain if weight is None else gain * weight
        # What one process would have: the slope without its mean and without its part along the normalized image.
        flat = (slope - all_bias.view(-1, 1, 1)).addcmul_(centered, (all_weight * gain).view(-1, 1, 1), value=-1)
        return flat.mul_(scale.view(-1, 1, 1)), None if weight is None else of_weight, of_bias, None, None
