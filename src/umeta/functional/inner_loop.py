"""Knows the inner loop of gradient-based meta-learning: a few differentiable steps from shared weights to a task's own."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import Tensor
from torch.func import grad

Weights = dict[str, Tensor]
ObservedT = TypeVar("ObservedT")


def inner_loop(
    loss: Callable[[Weights], Tensor],
    weights: Mapping[str, Tensor],
    *,
    lr: float,
    n_steps: int,
    first_order: bool = False,
    observe: Callable[[Weights], ObservedT] | None = None,
) -> tuple[Weights, list[ObservedT]]:
    r"""Adapt weights to one task by gradient descent, $\theta_{i+1} = \theta_i - \alpha \nabla L(\theta_i)$.

    Pure, so `torch.func.vmap` runs it for a whole batch of tasks at once, and differentiable, so the outer loss reaches the first weights
    through every step (second derivatives included).

    Args:
        loss: The support loss as a function of the weights.
        weights: Where to start.
        lr: $\alpha$, for the loss as it is given: a mean over examples wants a larger rate than a sum.
        n_steps: Steps; 0 returns the weights as they are.
        first_order: Treat each gradient as a constant, so that the outer gradient is the one at the adapted weights.
        observe: Called with the weights before the first step and after every step.

    Returns:
        The adapted weights, and what `observe` returned (`n_steps + 1` items, or none).

    Source:
        Finn et al. 2017 (arXiv:1703.03400), equation 1 and section 5.2 for the first-order form.
    """
    current: Weights = dict(weights)
    seen = [observe(current)] if observe else []
    for _ in range(n_steps):
        slopes = grad(loss)(current)
        current = {name: value - lr * (slopes[name].detach() if first_order else slopes[name]) for name, value in current.items()}
        if observe:
            seen.append(observe(current))
    return current, seen
