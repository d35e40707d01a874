"""Knows regularized logistic regression on a handful of examples: many tasks at once, in a fixed number of steps."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def logistic_regression(
    examples: Float[Tensor, "*batch n dim"],
    labels: Int[Tensor, "*batch n"],
    n_way: int,
    *,
    inverse_penalty: float = 1.0,
    n_steps: int = 100,
) -> Float[Tensor, "*batch n_way dim"]:
    r"""Minimize $\frac12 \|W\|^2 + C \sum_i \mathrm{CE}(W x_i, y_i)$ by accelerated gradient descent from 0.

    Every gradient step leaves $W = A^\top X$, so the steps are taken on $A$ and cost $n^2$ numbers each, however many dimensions there are.
    The step size is the inverse of $1 + C \lambda / 2$, with $\lambda$ bounded by the largest row sum of $|X X^\top|$.

    Args:
        examples: One vector per example; append a 1 to each for a (penalized) bias.
        labels: In `[0, n_way)`.
        n_way: Number of classes.
        inverse_penalty: C.
        n_steps: Of descent.

    Returns:
        W; gradients flow to the examples.

    Source:
        Nesterov 1983, with the momentum of Beck and Teboulle 2009 (FISTA), algorithm 1.

    Example:
        >>> logistic_regression(torch.tensor([[1.0], [-1.0]]), torch.tensor([0, 1]), 2).flatten().round(decimals=2)
        tensor([ 0.5700, -0.5700])
    """
    gram = examples @ examples.mT
    answers = F.one_hot(labels.long(), n_way).to(examples.dtype)
    size = 1 / (1 + inverse_penalty * gram.abs().sum(-1).amax(-1)[..., None, None] / 2)
    share = ahead = torch.zeros_like(answers)
    pace = 1.0
    for _ in range(n_steps):
        moved = ahead - size * (ahead + inverse_penalty * ((gram @ ahead).softmax(-1) - answers))
        later = (1 + (1 + 4 * pace**2) ** 0.5) / 2
        share, ahead, pace = moved, moved + (pace - 1) / later * (moved - share), later
    return share.mT @ examples
