"""Knows the inner loop of gradient-based meta-learning: a few differentiable steps from shared weights to a task's own."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor
from torch.func import grad

Weights = dict[str, Tensor]
ObservedT = TypeVar("ObservedT")


def inner_loop(
    loss: Callable[[Weights], Tensor],
    weights: Mapping[str, Tensor],
    *,
    lr: float | Mapping[str, Tensor],
    n_steps: int,
    first_order: bool = False,
    observe: Callable[[Weights], ObservedT] | None = None,
    stacked: bool = False,
) -> tuple[Weights, list[ObservedT]]:
    r"""Adapt weights by gradient descent, $\theta_{i+1} = \theta_i - \alpha \nabla L(\theta_i)$.

    Differentiable, so the outer loss reaches the first weights, and the rates, through every step (second derivatives included).

    Args:
        loss: The support loss as a function of the weights.
        weights: Where to start.
        lr: $\alpha$, for the loss as it is given: a mean over examples wants a larger rate than a sum. A tensor for each weight, of a
            shape that fits to it, gives every number a rate of its own.
        n_steps: Steps; 0 returns the weights as they are.
        first_order: Treat each gradient as a constant, so that the outer gradient is the one at the adapted weights.
        observe: Called with the weights before the first step and after every step.
        stacked: False: weights of one task, and pure, so that `torch.func` transforms it. True: weights of many tasks with a leading task
            axis, and a loss that is the sum of theirs; plain automatic differentiation then takes all tasks' gradients at once, with less
            work per operation than under `torch.func.vmap`.

    Returns:
        The adapted weights, and what `observe` returned (`n_steps + 1` items, or none).

    Source:
        Finn et al. 2017 (arXiv:1703.03400), equation 1 and section 5.2 for the first-order form; Li et al. 2017 (arXiv:1707.09835) for a
        rate per number (Meta-SGD).
    """
    current: Weights = dict(weights)
    seen = [observe(current)] if observe else []
    for _ in range(n_steps):
        slopes = _plain_slopes(loss, current, constant=first_order) if stacked else grad(loss)(current)
        rates = lr if isinstance(lr, Mapping) else dict.fromkeys(current, lr)
        current = {name: value - rates[name] * (slopes[name].detach() if first_order else slopes[name]) for name, value in current.items()}
        if observe:
            seen.append(observe(current))
    return current, seen


def _plain_slopes(loss: Callable[[Weights], Tensor], weights: Weights, *, constant: bool) -> Weights:
    with torch.enable_grad():
        if constant:
            weights = {name: value.detach().requires_grad_() for name, value in weights.items()}
        elif not all(value.requires_grad for value in weights.values()):
            weights = {name: value if value.requires_grad else value.requires_grad_() for name, value in weights.items()}
        slopes = torch.autograd.grad(loss(weights), list(weights.values()), create_graph=not constant)
    return dict(zip(weights, slopes, strict=True))
