"""Knows what an episode leaves behind, and how a policy is run in many copies of a process at once."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from umeta.control.nets.policy import Policy, Weights
from umeta.control.process import ControlledProcess
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

    @property
    def n_steps_taken(self) -> int:
        """Steps of all episodes together."""
        return int(self.alive.sum())


@torch.no_grad()
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
    """Run episodes of a policy, for every task with its own weights.

    Args:
        process: Where.
        policy: Who acts.
        weights: Of the policy, each tensor [n_task, ...], or [1, ...] where tasks share them.
        n_task: How many tasks.
        n_episode: How many episodes for each task.
        rng: Of everything in these episodes.
        condition: What the policy sees besides the observation, such as a skill; not part of the trajectories.

    Returns:
        Episodes of the process's horizon. No gradients.
    """
    running = process.start(n_task, n_episode, rng.fork("process"))
    generator = rng.fork("policy").torch(running.observation.device)
    seen, done, reached, alive = [running.observation], [], [], []
    goes_on = torch.ones(n_task, n_episode, dtype=torch.bool, device=seen[0].device)
    told = None if condition is None else condition[:, None].expand(-1, n_episode, -1)
    for _ in range(process.horizon):
        looked_at = seen[-1] if told is None else torch.cat([seen[-1], told], -1)
        action = policy.sample(weights, looked_at, generator)
        after, still = running.step(action)
        done.append(action)
        reached.append(after)
        alive.append(goes_on)
        goes_on = goes_on & still
        seen.append(after)
    return Trajectories(torch.stack(seen[:-1], 2), torch.stack(done, 2), torch.stack(reached, 2), torch.stack(alive, 2))


def conditioned(
    observation: Float[Tensor, "n_task *batch n"], condition: Float[Tensor, "n_task k"] | None
) -> Float[Tensor, "n_task *batch m"]:
    """Return observations with each task's condition appended, which is what a conditioned policy sees."""
    if condition is None:
        return observation
    between = (1,) * (observation.ndim - 2)
    told = condition.reshape(len(condition), *between, -1).expand(*observation.shape[:-1], -1)
    return torch.cat([observation, told], -1)
