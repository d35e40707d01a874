"""Knows MAML for control: weights from which a few policy-gradient steps reach any reward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from umeta.control.learners.gradient import GradientProcedure
from umeta.control.learners.inner import InnerLoop, Judged, of_every_task
from umeta.control.nets.module import Net
from umeta.control.nets.policy import Policy, Weights, make_policy
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardTask, RewardTasks
from umeta.core.metalearner import Metrics
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.policy_gradient import clipped_surrogate, kl_from_samples


@dataclass(frozen=True)
class Maml:
    r"""MAML with policy-gradient inner steps; all tasks of a meta-batch move together, each with weights of its own.

    A step runs episodes before and after each inner step, and then improves the shared weights `n_outer_steps` times on the same episodes:
    the inner steps are taken anew from the current weights, with ratios to the policy that acted, and the last policy is judged by PPO's
    clipped objective. The samples before adaptation have credit for what is learned from them, see `credited_surrogate`.

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

    Source:
        Finn et al. 2017 (arXiv:1703.03400), algorithm 3; outer loop of Rothfuss et al. 2019, ProMP (arXiv:1810.06784); rates of Li et al.
        2017, Meta-SGD (arXiv:1707.09835). Departures: Adam on the clipped objective instead of TRPO; a fixed penalty on the divergence.
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
        return ModuleState(modules, {"adam": torch.optim.Adam(learned, self.outer_lr)})

    def _rates(self, state: ModuleState) -> Mapping[str, Tensor]:
        net = state.modules["policy"]
        assert isinstance(net, Net)
        rates = state.modules.get("rates")
        return rates.weights if isinstance(rates, Net) else {name: torch.tensor(self.inner.lr) for name in net.weights}

    def step(self, state: ModuleState, tasks: Sequence[RewardTask], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Practice on every task and improve the shared weights."""
        assert isinstance(tasks, RewardTasks)
        net, adam = state.modules["policy"], state.optimizers["adam"]
        assert isinstance(net, Net)
        judged = self._practice(net.weights, self._rates(state), tasks, rng)
        loss = torch.zeros(())
        for _ in range(self.n_outer_steps):
            loss = self._outer_loss(net.weights, self._rates(state), judged)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
        returns = [one.returns.mean().item() for one in (judged[0], judged[-1])]
        return state, {"loss": loss.item(), "return_before": returns[0], "return_after": returns[1]}

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

    def _outer_loss(self, shared: Weights, rates: Mapping[str, Tensor], judged: Sequence[Judged]) -> Tensor:
        current = of_every_task(shared, len(judged[0].reward))
        penalty = torch.zeros(())
        for one in judged[:-1]:
            log_prob = self.policy.log_prob(current, one.episodes.observation, one.episodes.action)
            penalty = penalty + kl_from_samples(log_prob, one.log_prob, one.episodes.alive).mean()
            current = self.inner.step(self.policy, current, one, rates, differentiable=True)
        last = judged[-1]
        log_prob = self.policy.log_prob(current, last.episodes.observation, last.episodes.action)
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
