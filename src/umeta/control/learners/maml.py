"""Knows MAML for control: weights from which a few policy-gradient steps reach any reward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from umeta.control.learners.gradient import GradientProcedure
from umeta.control.learners.inner import InnerLoop, Judged, of_every_task
from umeta.control.nets.module import Net
from umeta.control.nets.policy import Policy, Weights, make_policy
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardTask, RewardTasks
from umeta.core.metalearner import Metrics
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.policy_gradient import clipped_surrogate, credited_surrogate, kl_from_samples, mean_over_steps
from umeta.functional.trust_region import backtracked, trust_region_step


@dataclass(frozen=True)
class Maml:
    r"""MAML with policy-gradient inner steps; all tasks of a meta-batch move together, each with weights of its own.

    A step runs episodes before and after each inner step, and then improves the shared weights `n_outer_steps` times on the same episodes:
    the inner steps are taken anew from the current weights, with ratios to the policy that acted, and the last policy is judged by PPO's
    clipped objective. The samples before adaptation have credit for what is learned from them, see `credited_surrogate`. With "trpo" it is
    one step instead: the largest that moves the policies after adaptation by `max_kl` on average over tasks, and gains something.

    Attributes:
        process: Where.
        inner: How a task is learned while practicing; `n_episode` is that of the practice.
        n_adapt_steps: Inner steps of the exported procedure.
        n_adapt_episodes: Episodes of each of its steps.
        outer_lr: Adam's rate.
        n_outer_steps: Steps of the optimizer for each batch of episodes.
        clip: PPO's $\epsilon$.
        kl_weight: Penalty for each nat that a policy before an inner step moves from the one that acted.
        learn_rates: Learn a rate for each weight too, beginning with `inner.lr` (Meta-SGD).
        outer: How the shared weights move: "ppo", or "trpo", which has no use for `outer_lr`, `n_outer_steps`, `clip` and `kl_weight`.
        max_kl: Of "trpo", in nats.

    Source:
        Finn et al. 2017 (arXiv:1703.03400), algorithm 3, with TRPO as its outer loop; the default one is that of Rothfuss et al. 2019,
        ProMP (arXiv:1810.06784); rates of Li et al. 2017, Meta-SGD (arXiv:1707.09835). Departures: Adam on the clipped objective by
        default; a fixed penalty on the divergence.
    """

    process: ControlledProcess
    inner: InnerLoop = field(default_factory=lambda: InnerLoop(n_episode=10))
    n_adapt_steps: int = 5
    n_adapt_episodes: int = 20
    outer_lr: float = 3e-3
    n_outer_steps: int = 1
    clip: float = 0.3
    kl_weight: float = 5e-4
    learn_rates: bool = False
    outer: Literal["ppo", "trpo"] = "ppo"
    max_kl: float = 0.01

    @property
    def policy(self) -> Policy:
        """Who acts."""
        return make_policy(self.process.observation.n, self.process.action)

    def init(self, rng: Rng) -> ModuleState:
        """Return fresh weights and their optimizer."""
        net = Net(self.policy.init(rng))
        modules = {"policy": net}
        if self.learn_rates:
            modules["rates"] = Net({name: torch.full_like(value, self.inner.lr) for name, value in net.weights.items()})
        learned = [parameter for module in modules.values() for parameter in module.parameters()]
        return ModuleState(modules, {"adam": torch.optim.Adam(learned, self.outer_lr)} if self.outer == "ppo" else {})

    def _rates(self, state: ModuleState) -> Mapping[str, Tensor]:
        net = state.modules["policy"]
        assert isinstance(net, Net)
        rates = state.modules.get("rates")
        return rates.weights if isinstance(rates, Net) else {name: torch.tensor(self.inner.lr) for name in net.weights}

    def step(self, state: ModuleState, tasks: Sequence[RewardTask], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Practice on every task and improve the shared weights."""
        assert isinstance(tasks, RewardTasks)
        net = state.modules["policy"]
        assert isinstance(net, Net)
        judged = self._practice(net.weights, self._rates(state), tasks, rng)
        loss = (self._by_adam if self.outer == "ppo" else self._by_trust_region)(state, net, judged)
        returns = [one.returns.mean().item() for one in (judged[0], judged[-1])]
        return state, {"loss": loss, "return_before": returns[0], "return_after": returns[1]}

    def _practice(self, shared: Weights, rates: Mapping[str, Tensor], tasks: RewardTasks, rng: Rng) -> list[Judged]:
        """Return the episodes before each inner step and after the last."""
        current, judged = of_every_task(shared, len(tasks)), []
        for index in range(self.inner.n_steps + 1):
            run = self.inner.run(self.process, self.policy, current, tasks, self.inner.n_episode, rng.fork("episodes", index))
            judged.append(run)
            if index < self.inner.n_steps:
                current = self.inner.step(self.policy, current, run, rates, differentiable=False)
                current = {name: value.detach().requires_grad_() for name, value in current.items()}
        return judged

    def _by_adam(self, state: ModuleState, net: Net, judged: Sequence[Judged]) -> float:
        loss = torch.zeros(())
        for _ in range(self.n_outer_steps):
            loss = self._outer_loss(net.weights, self._rates(state), judged)
            state.optimizers["adam"].zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            state.optimizers["adam"].step()
        return loss.item()

    def _by_trust_region(self, state: ModuleState, net: Net, judged: Sequence[Judged]) -> float:
        """Move the weights, where a share of the step gains anything; returns minus the gain."""
        leaves = [*net.parameters(), *(state.modules["rates"].parameters() if self.learn_rates else ())]
        last, rates = judged[-1].episodes, self._rates(state)
        old = {name: value.detach() for name, value in self._adapted(net.weights, rates, judged)[-1].items()}

        def gain_and_divergence(*, differentiable: bool) -> tuple[Tensor, Tensor]:
            current = self._adapted(net.weights, rates, judged, differentiable=differentiable)[-1]
            log_prob = self.policy.log_prob(current, last.observation, last.action)
            moved = mean_over_steps(self.policy.divergence(old, current, last.observation), last.alive)
            return credited_surrogate(log_prob, judged[-1].log_prob, judged[-1].advantage, last.alive).mean(), moved.mean()

        def flat_slopes(value: Tensor, *, differentiable: bool = False) -> Tensor:
            return parameters_to_vector(torch.autograd.grad(value, leaves, create_graph=differentiable, retain_graph=True))

        gain, divergence = gain_and_divergence(differentiable=True)
        slopes, bend = flat_slopes(gain), flat_slopes(divergence, differentiable=True)
        step = trust_region_step(slopes, lambda vector: flat_slopes(bend @ vector), max_kl=self.max_kl)
        start = parameters_to_vector(leaves).detach()

        def tried(share: float) -> tuple[float, float]:
            _put(leaves, start + share * step)
            gained, moved = gain_and_divergence(differentiable=False)
            return gained.item(), moved.item()

        share = backtracked(tried, gain.item(), max_kl=self.max_kl)
        _put(leaves, start + share * step)
        return -gain.item()

    def _adapted(
        self, shared: Weights, rates: Mapping[str, Tensor], judged: Sequence[Judged], *, differentiable: bool = True
    ) -> list[Weights]:
        """Return each task's weights before every inner step and after the last, taken anew from the shared ones."""
        path = [of_every_task(shared, len(judged[0].reward))]
        for one in judged[:-1]:
            path.append(self.inner.step(self.policy, path[-1], one, rates, differentiable=differentiable))
        return path

    def _outer_loss(self, shared: Weights, rates: Mapping[str, Tensor], judged: Sequence[Judged]) -> Tensor:
        path, penalty = self._adapted(shared, rates, judged), torch.zeros(())
        for current, one in zip(path, judged[:-1], strict=False):
            log_prob = self.policy.log_prob(current, one.episodes.observation, one.episodes.action)
            penalty = penalty + kl_from_samples(log_prob, one.log_prob, one.episodes.alive).mean()
        last = judged[-1]
        log_prob = self.policy.log_prob(path[-1], last.episodes.observation, last.episodes.action)
        gain = clipped_surrogate(log_prob, last.log_prob, last.advantage, last.episodes.alive, clip=self.clip)
        return self.kl_weight * penalty - gain.mean()

    def export(self, state: ModuleState) -> GradientProcedure:
        """Return a procedure with a copy of the weights."""
        net, rates = state.modules["policy"], state.modules.get("rates")
        assert isinstance(net, Net)
        learned = rates.weights if isinstance(rates, Net) else {}
        return GradientProcedure(
            self.process,
            self.policy,
            {name: value.detach().clone() for name, value in net.weights.items()},
            replace(self.inner, n_steps=self.n_adapt_steps, n_episode=self.n_adapt_episodes),
            {name: value.detach().clone() for name, value in learned.items()},
        )


@torch.no_grad()
def _put(leaves: Sequence[Tensor], values: Tensor) -> None:
    """Write a flat vector into tensors, one after the other."""
    for leaf, part in zip(leaves, torch.split(values, [leaf.numel() for leaf in leaves]), strict=True):
        leaf.copy_(part.view_as(leaf))
