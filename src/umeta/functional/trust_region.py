"""Knows the largest step up a gradient that changes what is done by no more than a given divergence."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Product = Callable[[Tensor], Tensor]
"""Returns the product of a symmetric matrix, which need not be written out, and a vector [n]."""


def conjugate_gradient(
    product: Product, wanted: Float[Tensor, " n"], *, n_steps: int = 10, tolerance: float = 1e-10
) -> Float[Tensor, " n"]:
    """Solve `product(x) = wanted` for a positive definite matrix; exact after `n` steps, near after few.

    Args:
        product: Multiplies with the matrix.
        wanted: The right side.
        n_steps: Products at most.
        tolerance: Squared length of what is left, relative to that of `wanted`, at which to stop.

    Source:
        Hestenes and Stiefel 1952, "Methods of conjugate gradients for solving linear systems".
    """
    found, left = torch.zeros_like(wanted), wanted.clone()
    direction, length = left, left @ left
    enough = tolerance * length
    for _ in range(n_steps):
        if length <= enough:
            break
        image = product(direction)
        share = length / (direction @ image)
        found, left = found + share * direction, left - share * image
        direction, length = left + (left @ left) / length * direction, left @ left
    return found


def trust_region_step(
    gradient: Float[Tensor, " n"], product: Product, *, max_kl: float, n_steps: int = 10, damping: float = 1e-5
) -> Float[Tensor, " n"]:
    r"""Return the step that gains most while the divergence, taken to second order, is `max_kl`.

    $\sqrt{2 \delta / (x^\top H x)} \, x$ with $H x = g$, solved roughly by conjugate gradients; 0 where the gradient is 0.

    Args:
        gradient: $g$, of what is to increase.
        product: Multiplies with $H$, the second derivative of the mean divergence: the Fisher matrix.
        max_kl: $\delta$, in nats.
        n_steps: Of conjugate gradients.
        damping: Added to the diagonal of $H$.

    Source:
        Schulman et al. 2015, "Trust Region Policy Optimization" (arXiv:1502.05477), appendix C.
    """

    def damped(vector: Tensor) -> Tensor:
        return product(vector) + damping * vector

    direction = conjugate_gradient(damped, gradient, n_steps=n_steps)
    bent = direction @ damped(direction)
    return direction * (2 * max_kl / bent).sqrt() if bent > 0 else torch.zeros_like(gradient)


def backtracked(
    tried: Callable[[float], tuple[float, float]], gain: float, *, max_kl: float, shrink: float = 0.8, n_tries: int = 15
) -> float:
    """Return the largest share of a step, 1 or a power of `shrink`, that gains something within the divergence; 0 if none does.

    Args:
        tried: Returns what is gained, and the divergence, after a share of the step.
        gain: Without the step.
        max_kl: Largest divergence, in nats.
        shrink: Factor from one try to the next, in `(0, 1)`.
        n_tries: Shares to try.

    Source:
        Schulman et al. 2015 (arXiv:1502.05477), appendix C.
    """
    for index in range(n_tries):
        share = shrink**index
        gained, divergence = tried(share)
        if gained > gain and divergence <= max_kl:
            return share
    return 0.0
