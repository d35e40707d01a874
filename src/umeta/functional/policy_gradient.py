"""Knows the objectives whose gradient improves a policy."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def mean_over_steps(values: Float[Tensor, "n_task *batch"], alive: Bool[Tensor, "n_task *batch"]) -> Float[Tensor, " n_task"]:
    """Return each task's mean over the steps that were taken."""
    over = tuple(range(1, values.ndim))
    return (values * alive).sum(over) / alive.sum(over).clamp_min(1)


def credited_surrogate(
    log_prob: Float[Tensor, "n_task *batch"],
    old_log_prob: Float[Tensor, "n_task *batch"],
    advantage: Float[Tensor, "n_task *batch"],
    alive: Bool[Tensor, "n_task *batch"],
) -> Float[Tensor, " n_task"]:
    r"""Return each task's policy-gradient objective, to be increased: the mean of $A \, \pi(a \mid s) / \pi_\text{old}(a \mid s)$.

    Where the two policies are the same the value is the mean advantage, and the gradient is that of REINFORCE, $A \nabla \log \pi$. The
    second derivative, which a meta-learner takes, has $A (\nabla \log \pi \nabla \log \pi^\top + \nabla^2 \log \pi)$: with the ratio,
    unlike with $A \log \pi$, the samples before adaptation get credit for what is learned from them.

    Args:
        log_prob: Of the actions taken, under the weights to be differentiated.
        old_log_prob: The same under the weights that drew them; detached here.
        advantage: Detached here.
        alive: Whether the step was taken.

    Source:
        Rothfuss et al. 2019, ProMP (arXiv:1810.06784), the low variance curvature estimator: DiCE (Foerster et al. 2018, arXiv:1802.05098)
        with the credit of each action limited to what comes after it, and without the covariance between steps.
    """
    ratio = torch.exp(log_prob - old_log_prob.detach())
    return mean_over_steps(ratio * advantage.detach(), alive)


def clipped_surrogate(
    log_prob: Float[Tensor, "n_task *batch"],
    old_log_prob: Float[Tensor, "n_task *batch"],
    advantage: Float[Tensor, "n_task *batch"],
    alive: Bool[Tensor, "n_task *batch"],
    *,
    clip: float,
) -> Float[Tensor, " n_task"]:
    r"""Return each task's PPO objective, to be increased: the mean of $\min(r A, \mathrm{clip}(r, 1 - \epsilon, 1 + \epsilon) A)$.

    Args:
        log_prob: Of the actions taken, under the weights to be differentiated.
        old_log_prob: The same under the weights that drew them; detached here.
        advantage: Detached here.
        alive: Whether the step was taken.
        clip: $\epsilon$.

    Returns:
        Objectives. Gradients flow to `log_prob` where the ratio has not left the interval in the direction of the advantage.

    Source:
        Schulman et al. 2017 (arXiv:1707.06347), equation 7.
    """
    ratio = torch.exp(log_prob - old_log_prob.detach())
    advantage = advantage.detach()
    return mean_over_steps(torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage), alive)


def kl_from_samples(
    log_prob: Float[Tensor, "n_task *batch"], old_log_prob: Float[Tensor, "n_task *batch"], alive: Bool[Tensor, "n_task *batch"]
) -> Float[Tensor, " n_task"]:
    r"""Estimate each task's $\mathrm{KL}(\pi_\text{old} \| \pi)$ from actions drawn by the old policy, as the mean of $r - 1 - \log r$.

    Never negative, and without bias. Gradients flow to `log_prob`.

    Source:
        Schulman 2020, "Approximating KL divergence", the third estimator.
    """
    log_ratio = log_prob - old_log_prob.detach()
    return mean_over_steps(log_ratio.exp() - 1 - log_ratio, alive)
