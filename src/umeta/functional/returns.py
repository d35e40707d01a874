"""Knows how rewards over time become returns and advantages."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def discounted_returns(reward: Float[Tensor, "*batch n_step"], discount: float) -> Float[Tensor, "*batch n_step"]:
    r"""Return what is still to come at every step, $R_t = \sum_{k \ge t} \gamma^{k - t} r_k$.

    Args:
        reward: 0 after an episode's end.
        discount: $\gamma$ in `[0, 1]`.

    Example:
        >>> discounted_returns(torch.tensor([1.0, 0.0, 2.0]), 0.5)
        tensor([1.5000, 1.0000, 2.0000])
    """
    returns = torch.empty_like(reward)
    later = torch.zeros_like(reward[..., 0])
    for t in range(reward.shape[-1] - 1, -1, -1):
        later = reward[..., t] + discount * later
        returns[..., t] = later
    return returns


def generalized_advantages(
    reward: Float[Tensor, "*batch n_step"],
    value: Float[Tensor, "*batch n_step"],
    alive: Bool[Tensor, "*batch n_step"],
    *,
    discount: float,
    trace: float,
) -> Float[Tensor, "*batch n_step"]:
    r"""Return by how much each action was better than expected, $A_t = \sum_k (\gamma \lambda)^k \delta_{t + k}$.

    $\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t)$, with $V = 0$ after the last step and after an episode's end.

    Args:
        reward: Of each step.
        value: Expected return before each step.
        alive: Whether the step was taken.
        discount: $\gamma$.
        trace: $\lambda$; 1 is the discounted return less the value, 0 the error of one step.

    Returns:
        Advantages, 0 where the step was not taken. Gradients flow to reward and value.

    Source:
        Schulman et al. 2016 (arXiv:1506.02438), equation 16. Departure: episodes have a fixed number of steps, and what would come after
        the last one counts as 0, so values should know the time.
    """
    lives = alive.to(reward.dtype)
    value, reward = value * lives, reward * lives
    advantages, later, value_next = [], torch.zeros_like(reward[..., 0]), torch.zeros_like(reward[..., 0])
    for t in range(reward.shape[-1] - 1, -1, -1):
        later = reward[..., t] + discount * value_next - value[..., t] + discount * trace * later
        value_next = value[..., t]
        advantages.append(later)
    return torch.stack(advantages[::-1], -1)


def standardized(advantage: Float[Tensor, "n_task *batch"], alive: Bool[Tensor, "n_task *batch"]) -> Float[Tensor, "n_task *batch"]:
    """Return advantages with mean 0 and standard deviation 1 within each task, over the steps that were taken; 0 elsewhere.

    Rates of gradient steps then suit rewards of any size. Where all are equal the result is 0.
    """
    lives = alive.to(advantage.dtype)
    over = tuple(range(1, advantage.ndim))
    n = lives.sum(over, keepdim=True).clamp_min(1)
    centered = (advantage - (advantage * lives).sum(over, keepdim=True) / n) * lives
    return centered / (centered.square().sum(over, keepdim=True) / n).sqrt().clamp_min(1e-8)
