"""Knows the learning procedures that start from shared weights and follow the policy gradient of a reward."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from umeta.control.learners.agent import Agent
from umeta.control.learners.inner import InnerLoop, apart, of_every_task
from umeta.control.nets.policy import Policy, Weights, make_policy
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFn, RewardTasks
from umeta.control.skills.discovery import Skills
from umeta.core.rng import Rng


@dataclass(frozen=True, eq=False)
class Stage:
    """Where the adaptation of a batch of tasks is.

    Attributes:
        weights: Of every task, [n_task, ...].
        n_episode: Episodes of each task that were run so far.
    """

    weights: Weights
    n_episode: int


@dataclass(frozen=True, eq=False)
class GradientProcedure:
    """Policy-gradient steps from shared weights: MAML's after meta-training, from scratch where they are fresh.

    Attributes:
        process: Where.
        policy: Who acts.
        weights: Where every task begins, with one task in front; never changed.
        inner: How a task is learned.
        rates: Of the gradient steps, one tensor [1, ...] for each weight; empty for `inner.lr` throughout.
    """

    process: ControlledProcess
    policy: Policy
    weights: Weights
    inner: InnerLoop
    rates: Mapping[str, Tensor] = field(default_factory=dict)
    transductive: bool = False

    @classmethod
    def from_scratch(cls, process: ControlledProcess, inner: InnerLoop, rng: Rng) -> "GradientProcedure":
        """Return the baseline that starts every task at the same random weights."""
        policy = make_policy(process.observation.n, process.action)
        return cls(process, policy, policy.init(rng), inner)

    def with_inner(self, **changes: float) -> "GradientProcedure":
        """Return the procedure with other settings of its inner loop."""
        return replace(self, inner=replace(self.inner, **changes))  # type: ignore[arg-type]

    def stages(self, tasks: RewardTasks, rng: Rng) -> Iterator[Stage]:
        """Adapt to all tasks at once; yields the weights before the first step and after each of `inner.n_steps`."""
        weights, n_episode = of_every_task(self.weights, len(tasks)), 0
        yield from self.onward(Stage(weights, n_episode), tasks, rng)

    def onward(self, first: Stage, tasks: RewardTasks, rng: Rng) -> Iterator[Stage]:
        """Yield `first`, and the stage after each gradient step from there."""
        rates = self.rates or {name: torch.tensor(self.inner.lr) for name in self.weights}
        weights, n_episode = first.weights, first.n_episode
        yield first
        for index in range(self.inner.n_steps):
            judged = self.inner.run(self.process, self.policy, weights, tasks, self.inner.n_episode, rng.fork("step", index))
            with torch.enable_grad():
                moved = self.inner.step(self.policy, apart(weights), judged, rates, differentiable=False)
            weights, n_episode = {name: value.detach() for name, value in moved.items()}, n_episode + self.inner.n_episode
            yield Stage(weights, n_episode)

    def adapt(self, support: RewardFn, rng: Rng) -> Agent:
        """Run `inner.n_episode` episodes, take a gradient step, and so on `inner.n_steps` times.

        Args:
            support: The reward, see `RewardFn`.
            rng: Of the episodes.
        """
        *_, last = self.stages(RewardTasks.of([support]), rng)
        return Agent(self.process, self.policy, last.weights)

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and rates."""
        named = {f"weight.{name}": value for name, value in self.weights.items()}
        return named | {f"rate.{name}": value for name, value in self.rates.items()}

    @classmethod
    def restore(cls, process: ControlledProcess, inner: InnerLoop, tensors: Mapping[str, Tensor]) -> "GradientProcedure":
        """Return the procedure of which `tensors` returned these."""
        parts: dict[str, Weights] = {"weight": {}, "rate": {}}
        for key, value in tensors.items():
            part, name = key.split(".", 1)
            parts[part][name] = value
        return cls(process, make_policy(process.observation.n, process.action), parts["weight"], inner, parts["rate"])


@dataclass(frozen=True, eq=False)
class SkillProcedure:
    """Try the skills on the reward, and go on from the best by policy gradients: skills as a starting point, without meta-learning.

    Attributes:
        skills: With a policy that was trained to run them.
        inner: How a task is learned after its skill was chosen; the choice takes as many episodes as one of its steps.
        n_tried: Skills to try.
    """

    skills: Skills
    inner: InnerLoop
    n_tried: int = 16
    transductive: bool = False

    @property
    def process(self) -> ControlledProcess:
        """Where."""
        return self.skills.process

    @property
    def policy(self) -> Policy:
        """Who acts: the policy of the skills with its skill built in."""
        return make_policy(self.process.observation.n, self.process.action)

    def with_inner(self, **changes: float) -> "SkillProcedure":
        """Return the procedure with other settings of its inner loop."""
        return replace(self, inner=replace(self.inner, **changes))  # type: ignore[arg-type]

    def stages(self, tasks: RewardTasks, rng: Rng) -> Iterator[Stage]:
        """Adapt to all tasks at once; stage 0 runs an arbitrary skill, stage 1 the best of those tried, the rest follow the gradient."""
        skill = self.skills.objective.draw(self.skills.model, self.n_tried, rng.fork("skill"))
        yield Stage(of_every_task(self._policy_of(skill[:1]), len(tasks)), 0)
        n_each = -(-self.inner.n_episode // self.n_tried)
        tried = self.skills.run(skill, n_each, rng.fork("tried"))
        earned = [
            replace(tasks, parameter=tasks.parameter[i : i + 1].expand(self.n_tried, *tasks.parameter.shape[1:]))
            .rewards(self.process, tried)
            .sum(-1)
            .mean(-1)
            for i in range(len(tasks))
        ]
        best = torch.stack(earned).argmax(-1)
        first = Stage(self._policy_of(skill[best]), n_each * self.n_tried)
        steps = replace(self.inner, n_steps=max(self.inner.n_steps - 1, 0))
        yield from GradientProcedure(self.process, self.policy, self._policy_of(skill[:1]), steps).onward(first, tasks, rng)

    def _policy_of(self, skill: Tensor) -> Weights:
        """Return the weights [n_task, ...] of policies that see no skill and do what the given ones say: it goes into the first bias."""
        weights = {name: value.detach() for name, value in self.skills.actor.weights.items()}
        split = self.process.observation.n
        bias = weights["b0"] + (skill.unsqueeze(1) @ weights["w0"][:, split:])[:, 0]
        return of_every_task(weights | {"w0": weights["w0"][:, :split]}, len(skill)) | {"b0": bias}

    def adapt(self, support: RewardFn, rng: Rng) -> Agent:
        """Choose a skill and go on from it."""
        *_, last = self.stages(RewardTasks.of([support]), rng)
        return Agent(self.process, self.policy, last.weights)
