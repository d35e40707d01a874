"""Knows the learning procedures that follow the policy gradient of a reward, and the agents that come of them."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.control.envs.catalog import make_process
from umeta.control.learners.inner import InnerLoop, apart, of_every_task
from umeta.control.nets.policy import Policy, Weights, make_policy
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFn, RewardTasks
from umeta.control.skills.discovery import Skills
from umeta.control.trajectory import Trajectories, rollout
from umeta.core.rng import Rng


@dataclass(frozen=True, eq=False)
class GradientStage:
    """Policies of many tasks on their way.

    Attributes:
        process: Where they act.
        policy: How.
        weights: Of every task, [n_task, ...].
        n_episode: Episodes of each task that were run to come here.
    """

    process: ControlledProcess
    policy: Policy
    weights: Weights
    n_episode: int

    def run(self, n_episode: int, rng: Rng) -> Trajectories:
        """Run episodes of every task."""
        return rollout(self.process, self.policy, self.weights, len(self.weights["b0"]), n_episode, rng)


@dataclass(frozen=True, eq=False)
class PolicyAgent:
    """A policy that was adapted to one reward.

    Attributes:
        process: Where it acts.
        policy: How it acts.
        weights: Of the policy, with one task in front.
    """

    process: ControlledProcess
    policy: Policy
    weights: Weights

    @torch.no_grad()
    def act(self, observation: Float[Tensor, "*batch n_observation"]) -> Tensor:
        """Return the likeliest action for each observation, within the bounds of the process."""
        return self.process.action.clip(self.policy.best(self.weights, observation.unsqueeze(0))[0])

    def run(self, n_episode: int, rng: Rng) -> Trajectories:
        """Run episodes; the agent acts at random, as it did when it learned."""
        return rollout(self.process, self.policy, self.weights, 1, n_episode, rng)

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights."""
        return dict(self.weights)

    def describe(self) -> dict[str, Any]:
        """Return type and process."""
        return {"type": "policy", "process": self.process.name}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "PolicyAgent":
        """Rebuild from an artifact."""
        process = make_process(info["process"])
        return cls(process, make_policy(process.observation.n, process.action), dict(tensors))


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

    def with_episodes(self, n_episode: int) -> "GradientProcedure":
        """Return the procedure that takes as many steps as these episodes allow, one at least."""
        return replace(self, inner=replace(self.inner, n_steps=max(n_episode // self.inner.n_episode, 1)))

    def stages(self, tasks: RewardTasks, rng: Rng) -> Iterator[GradientStage]:
        """Adapt to all tasks at once; yields the weights before the first step and after each of `inner.n_steps`."""
        start = GradientStage(self.process, self.policy, of_every_task(self.weights, len(tasks)), 0)
        return self.onward(start, tasks, rng)

    def onward(self, stage: GradientStage, tasks: RewardTasks, rng: Rng) -> Iterator[GradientStage]:
        """Yield a stage, and the one after each gradient step from there."""
        rates = self.rates or {name: torch.tensor(self.inner.lr) for name in self.weights}
        yield stage
        for index in range(self.inner.n_steps):
            judged = self.inner.run(self.process, self.policy, stage.weights, tasks, self.inner.n_episode, rng.fork("step", index))
            with torch.enable_grad():
                moved = self.inner.step(self.policy, apart(stage.weights), judged, rates, differentiable=False)
            weights = {name: value.detach() for name, value in moved.items()}
            stage = replace(stage, weights=weights, n_episode=stage.n_episode + self.inner.n_episode)
            yield stage

    def adapt(self, support: RewardFn, rng: Rng | None = None) -> PolicyAgent:
        """Run `inner.n_episode` episodes, take a gradient step, and so on `inner.n_steps` times.

        Args:
            support: The reward, see `RewardFn`.
            rng: Of the episodes; None takes seed 0.
        """
        *_, last = self.stages(RewardTasks.of([support]), rng or Rng.from_seed(0))
        return PolicyAgent(self.process, self.policy, last.weights)

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and rates."""
        named = {f"weight.{name}": value for name, value in self.weights.items()}
        return named | {f"rate.{name}": value for name, value in self.rates.items()}

    def describe(self) -> dict[str, Any]:
        """Return type, process and inner loop."""
        return {"type": "policy-gradient", "process": self.process.name, "inner": asdict(self.inner)}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "GradientProcedure":
        """Rebuild from an artifact."""
        process = make_process(info["process"])
        parts: dict[str, Weights] = {"weight": {}, "rate": {}}
        for key, value in tensors.items():
            part, name = key.split(".", 1)
            parts[part][name] = value
        policy = make_policy(process.observation.n, process.action)
        return cls(process, policy, parts["weight"], InnerLoop(**info["inner"]), parts["rate"])


@dataclass(frozen=True, eq=False)
class SkillProcedure:
    """Try the skills on the reward, and go on from the best by policy gradients: skills as a starting point, without meta-learning.

    Attributes:
        skills: With a policy that was trained to run them.
        inner: How a task is learned after its skill was chosen; the choice counts as one of its steps.
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

    def stages(self, tasks: RewardTasks, rng: Rng) -> Iterator[GradientStage]:
        """Adapt to all tasks at once; stage 0 runs an arbitrary skill, stage 1 the best of those tried, the rest follow the gradient."""
        skill = self.skills.objective.draw(self.skills.model, self.n_tried, rng.fork("skill"))
        arbitrary = self._policy_of(skill[:1])
        yield GradientStage(self.process, self.policy, of_every_task(arbitrary, len(tasks)), 0)
        n_each = -(-self.inner.n_episode // self.n_tried)
        tried = self.skills.run(skill, n_each, rng.fork("tried"))
        best = torch.stack([tasks[i].rewarded(self.process, tried).sum(-1).mean(-1) for i in range(len(tasks))]).argmax(-1)
        start = GradientStage(self.process, self.policy, self._policy_of(skill[best]), n_each * self.n_tried)
        steps = replace(self.inner, n_steps=max(self.inner.n_steps - 1, 0))
        yield from GradientProcedure(self.process, self.policy, arbitrary, steps).onward(start, tasks, rng)

    def _policy_of(self, skill: Tensor) -> Weights:
        """Return the weights [n_task, ...] of policies that see no skill and do what the given ones say: it goes into the first bias."""
        weights = {name: value.detach() for name, value in self.skills.actor.weights.items()}
        split = self.process.observation.n
        bias = weights["b0"] + skill @ weights["w0"][0, split:]
        return of_every_task(weights | {"w0": weights["w0"][:, :split]}, len(skill)) | {"b0": bias}

    def adapt(self, support: RewardFn, rng: Rng | None = None) -> PolicyAgent:
        """Choose a skill for one reward and go on from it; without a stream, that of seed 0 is taken."""
        *_, last = self.stages(RewardTasks.of([support]), rng or Rng.from_seed(0))
        return PolicyAgent(self.process, self.policy, last.weights)
