"""Knows how two sets of things are matched so that all get an equal share: entropic optimal transport."""

import torch
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def sinkhorn(scores: Float[Tensor, "n m"], *, epsilon: float = 0.05, n_iterations: int = 3) -> Float[Tensor, "n m"]:
    r"""Match rows to columns by their scores, while all columns together get equal shares.

    From $K = \exp(s / \epsilon)$ on, columns and then rows are scaled to equal sums, so often. A plain softmax of a row would let a few
    popular columns serve every row.

    Args:
        scores: Higher is better; a spread of more than about $80\,\epsilon$ is lost to rounding.
        epsilon: Smaller gives harder matches.
        n_iterations: How often both sides are scaled; rows come last.

    Returns:
        Each row sums to 1; each column about to $n / m$, nearer with more iterations. No gradient flows.

    Source:
        Cuturi 2013 (arXiv:1306.0895), algorithm 1; in few iterations, Caron et al. 2020 (arXiv:2006.09882), section 3.1.

    Example:
        >>> sinkhorn(torch.tensor([[1.0, 0.0], [1.0, 0.8]]), epsilon=0.1, n_iterations=100).round(decimals=2)
        tensor([[0.9800, 0.0200],
                [0.0200, 0.9800]])
    """
    kernel = ((scores - scores.max()) / epsilon).exp()
    row = kernel.new_ones(len(kernel))
    for _ in range(n_iterations):
        column = 1 / (kernel.T @ row)
        row = 1 / (kernel @ column)
    return row.unsqueeze(1) * kernel * column
