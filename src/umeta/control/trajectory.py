"""Knows what an episode leaves behind, and how a policy is run in many copies of a process at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from umeta.control.nets.policy import Policy, Weights
from umeta.control.process import EVERY, ControlledProcess
from umeta.core.rng import Rng


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Episodes of many tasks, without rewards.

    Attributes:
        observation: Float [n_task, n_episode, n_step, n_observation], what was seen before each step.
        action: As the policy drew it, float [n_task, n_episode, n_step, n_action] or int64 [n_task, n_episode, n_step].
        reached: Float, shaped as `observation`, what was seen after each step.
        alive: Bool [n_task, n_episode, n_step], whether the step was taken; after an episode's end it is False, and rewards do not count.
    """

    observation: Float[Tensor, "n_task n_episode n_step n_observation"]
    action: Shaped[Tensor, "n_task n_episode n_step *action"]
    reached: Float[Tensor, "n_task n_episode n_step n_observation"]
    alive: Bool[Tensor, "n_task n_episode n_step"]

    def __getitem__(self, tasks: Any) -> "Trajectories":
        """Return some tasks' episodes, by a slice or a tensor of indices; the first axis stays."""
        return replace(self, **{name: getattr(self, name)[tasks] for name in ("observation", "action", "reached", "alive")})

    @classmethod
    def joined(cls, parts: Sequence["Trajectories"]) -> "Trajectories":
        """Return the episodes of all tasks of several parts, in their order."""
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in ("observation", "action", "reached", "alive")))

    @property
    def n_steps_taken(self) -> int:
        """Steps of all episodes together."""
        return int(self.alive.sum())


@dataclass(frozen=True, eq=False)
class Rollout:
    """Episodes that are to be run: all that decides them but the process.

    Attributes:
        policy: Who acts.
        weights: Of the policy, each tensor [n_task, ...], or [1, ...] where tasks share them.
        n_task: How many tasks.
        n_episode: How many episodes for each task.
        rng: Of everything in these episodes.
        condition: What the policy sees besides the observation, such as a skill; not part of the trajectories.
        tasks: Which of the tasks to run; weights and condition are those of these tasks.
    """

    policy: Policy
    weights: Weights
    n_task: int
    n_episode: int
    rng: Rng
    condition: Float[Tensor, "n_part n_condition"] | None = None
    tasks: slice = field(default_factory=lambda: EVERY)

    def portion(self, rank: int, size: int) -> "Rollout":
        """Return one of `size` parts of the tasks, whose episodes are the same as within the whole, bit for bit."""
        own = slice(self.n_task * rank // size, self.n_task * (rank + 1) // size)
        weights = {name: (value if len(value) == 1 else value[own]).detach().clone() for name, value in self.weights.items()}
        condition = None if self.condition is None else self.condition[own].clone()
        return replace(self, weights=weights, condition=condition, tasks=own)

    @torch.no_grad()
    def run(self, process: ControlledProcess) -> Trajectories:
        """Run the episodes, to the process's horizon.

        Each task has products of its own, even where weights are shared, so that their rounding does not depend on how many there are.
        What is random is drawn for all tasks.
        """
        running = process.start(self.n_task, self.n_episode, self.rng.fork("process"), self.tasks)
        seen, done, reached, alive = [running.observation], [], [], []
        n_part, generator = len(seen[0]), self.rng.fork("policy").torch(seen[0].device)
        weights = {name: value.expand(n_part, *value.shape[1:]) for name, value in self.weights.items()}
        goes_on = torch.ones(n_part, self.n_episode, dtype=torch.bool, device=seen[0].device)
        told = None if self.condition is None else self.condition[:, None].expand(-1, self.n_episode, -1)
        for _ in range(process.horizon):
            looked_at = seen[-1] if told is None else torch.cat([seen[-1], told], -1)
            noise = self.policy.noise((self.n_task, self.n_episode), generator)[self.tasks]
            action = self.policy.sample(weights, looked_at, noise)
            after, still = running.step(action)
            done.append(action)
            reached.append(after)
            alive.append(goes_on)
            goes_on = goes_on & still
            seen.append(after)
        return Trajectories(torch.stack(seen[:-1], 2), torch.stack(done, 2), torch.stack(reached, 2), torch.stack(alive, 2))


@runtime_checkable
class Collecting(Protocol):
    """A process whose episodes are run by others."""

    def collect(self, wanted: Rollout) -> Trajectories:
        """Have episodes run, with the result of `wanted.run`."""
        ...


def rollout(
    process: ControlledProcess,
    policy: Policy,
    weights: Weights,
    n_task: int,
    n_episode: int,
    rng: Rng,
    *,
    condition: Float[Tensor, "n_task n_condition"] | None = None,
) -> Trajectories:
    """Run episodes of a policy, for every task with its own weights; or have them run, where the process says by whom.

    Args:
        process: Where.
        policy: Who acts.
        weights: As in `Rollout`, and so are the others.
        n_task: How many tasks.
        n_episode: How many episodes for each task.
        rng: Of everything in these episodes.
        condition: What the policy sees besides the observation.

    Returns:
        Episodes of the process's horizon. No gradients.
    """
    wanted = Rollout(policy, weights, n_task, n_episode, rng, condition)
    return process.collect(wanted) if isinstance(process, Collecting) else wanted.run(process)


def conditioned(
    observation: Float[Tensor, "n_task *batch n"], condition: Float[Tensor, "n_task k"] | None
) -> Float[Tensor, "n_task *batch m"]:
    """Return observations with each task's condition appended, which is what a conditioned policy sees."""
    if condition is None:
        return observation
    between = (1,) * (observation.ndim - 2)
    told = condition.reshape(len(condition), *between, -1).expand(*observation.shape[:-1], -1)
    return torch.cat([observation, told], -1)
