"""Knows one step of learning a reward: run episodes, judge the actions, move each task's weights up the policy gradient."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.control.nets.baseline import linear_baseline
from umeta.control.nets.policy import Policy, Weights
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardTasks
from umeta.control.trajectory import Trajectories, rollout
from umeta.core.rng import Rng
from umeta.functional.policy_gradient import credited_surrogate
from umeta.functional.returns import discounted_returns, generalized_advantages, standardized


@dataclass(frozen=True, eq=False)
class Judged:
    """Episodes of every task, and how good their actions were.

    Attributes:
        episodes: What was done.
        reward: Shape [n_task, n_episode, n_step].
        advantage: Shape [n_task, n_episode, n_step], standardized within each task.
        log_prob: Of the actions under the weights that drew them; shape [n_task, n_episode, n_step].
    """

    episodes: Trajectories
    reward: Tensor
    advantage: Tensor
    log_prob: Tensor

    @property
    def returns(self) -> Float[Tensor, "n_task n_episode"]:
        """Return of each episode, not discounted."""
        return self.reward.sum(-1)


@dataclass(frozen=True)
class InnerLoop:
    r"""How a task is learned from its reward.

    Attributes:
        lr: Rate of the gradient steps, where none was learned for each weight.
        n_steps: Steps.
        n_episode: Episodes of each step.
        discount: $\gamma$ of the advantages.
        trace: $\lambda$ of the advantages.
        first_order: Leave out second derivatives while meta-training.

    Source:
        Finn et al. 2017 (arXiv:1703.03400), section 5.3: REINFORCE with the linear feature baseline. Departure: the step's objective is the
        credited surrogate, whose gradient is the same and whose curvature is not.
    """

    lr: float = 0.1
    n_steps: int = 1
    n_episode: int = 20
    discount: float = 0.99
    trace: float = 1.0
    first_order: bool = False

    @torch.no_grad()
    def run(self, process: ControlledProcess, policy: Policy, weights: Weights, tasks: RewardTasks, n_episode: int, rng: Rng) -> Judged:
        """Run episodes of every task under its own weights and judge them; no gradients."""
        episodes = rollout(process, policy, weights, len(tasks), n_episode, rng)
        reward = tasks.rewards(process, episodes)
        value = linear_baseline(episodes.observation, discounted_returns(reward, self.discount), episodes.alive)
        advantage = generalized_advantages(reward, value, episodes.alive, discount=self.discount, trace=self.trace)
        log_prob = policy.log_prob(weights, episodes.observation, episodes.action)
        return Judged(episodes, reward, standardized(advantage, episodes.alive), log_prob)

    def step(self, policy: Policy, weights: Weights, judged: Judged, rates: Mapping[str, Tensor], *, differentiable: bool) -> Weights:
        """Return each task's weights after one gradient step.

        Args:
            policy: Who acted.
            weights: Each tensor [n_task, ...]; gradients must be enabled for them.
            judged: What they did.
            rates: Of each weight, [1, ...] or [n_task, ...] or a number.
            differentiable: Whether gradients of what is returned are wanted; second derivatives unless `first_order`.
        """
        log_prob = policy.log_prob(weights, judged.episodes.observation, judged.episodes.action)
        gain = credited_surrogate(log_prob, judged.log_prob, judged.advantage, judged.episodes.alive).sum()
        slopes = torch.autograd.grad(gain, list(weights.values()), create_graph=differentiable and not self.first_order)
        return {name: value + rates[name] * slope for (name, value), slope in zip(weights.items(), slopes, strict=True)}


def of_every_task(weights: Weights, n_task: int) -> Weights:
    """Return weights [1, ...] as those of every task, [n_task, ...]; gradients flow to the shared ones."""
    return {name: value.expand(n_task, *value.shape[1:]) for name, value in weights.items()}


def apart(weights: Weights) -> Weights:
    """Return weights cut off from what made them, ready for gradients of their own."""
    return {name: value.detach().requires_grad_() for name, value in weights.items()}
