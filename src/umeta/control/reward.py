"""Knows what a reward is here: a function outside of the process, the same for proposed, hand-made and users' rewards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from umeta.control.process import ControlledProcess
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng

RewardFn = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`reward(observation, action, reached)`: tensors [..., n_observation], [..., n_action] or [...] where actions are choices, and
[..., n_observation] in; one reward each, [...], out. Actions come clipped to the process's bounds."""

RewardFamily = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""`family(parameter, observation, action, reached)`: rewards of many tasks at once. The parameter is [n_task, ...], and the others have
`n_task` in front too: [n_task, n_episode, n_step, ...]; the result is [n_task, n_episode, n_step]."""


@dataclass(frozen=True, eq=False)
class RewardTask:
    """One reward. The episodes in which it is learned and those in which the result is scored are drawn from different streams."""

    reward: RewardFn

    @property
    def support(self) -> RewardFn:
        """What `adapt` may ask about its own episodes."""
        return self.reward

    @property
    def query(self) -> RewardFn:
        """What later episodes are scored by."""
        return self.reward

    def rewarded(self, process: ControlledProcess, trajectories: Trajectories) -> Float[Tensor, "n_any n_episode n_step"]:
        """Return the reward of every step of episodes, whatever they were run for; see `RewardTasks.rewards`."""
        earned = self.reward(trajectories.observation, process.action.clip(trajectories.action), trajectories.reached)
        return torch.where(trajectories.alive, earned, 0.0)


@dataclass(frozen=True, eq=False)
class RewardTasks(Sequence[RewardTask]):
    """A batch of tasks whose rewards are computed at once.

    Attributes:
        family: The reward, up to a parameter.
        parameter: Shape [n_task, ...], each task's own.
    """

    family: RewardFamily
    parameter: Tensor

    @classmethod
    def of(cls, rewards: Sequence[RewardFn]) -> "RewardTasks":
        """Return a batch of unrelated rewards; each is called on its own."""

        def one_by_one(parameter: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
            chosen = [rewards[int(index)] for index in parameter]
            return torch.stack([one(observation[i], action[i], reached[i]) for i, one in enumerate(chosen)])

        return cls(one_by_one, torch.arange(len(rewards)))

    def __len__(self) -> int:
        return len(self.parameter)

    @overload
    def __getitem__(self, index: int) -> RewardTask: ...

    @overload
    def __getitem__(self, index: slice) -> "RewardTasks": ...

    def __getitem__(self, index: int | slice) -> "RewardTask | RewardTasks":
        """Return one task, or the batch of some."""
        if isinstance(index, slice):
            return RewardTasks(self.family, self.parameter[index])
        own = self.parameter[index][None]

        def reward(observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
            return self.family(own, observation[None], action[None], reached[None])[0]

        return RewardTask(reward)

    def rewards(self, process: ControlledProcess, trajectories: Trajectories) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return the reward of every step, with actions clipped as the process clips them; 0 after an episode's end."""
        action = process.action.clip(trajectories.action)
        earned = self.family(self.parameter, trajectories.observation, action, trajectories.reached)
        return torch.where(trajectories.alive, earned, 0.0)


@dataclass(frozen=True, eq=False)
class RewardDistribution:
    """A `TaskDistribution` of rewards of one family.

    Attributes:
        family: The reward, up to a parameter.
        draw: Returns `n` parameters [n, ...], drawn from a stream.
    """

    family: RewardFamily
    draw: Callable[[int, Rng], Shaped[Tensor, "n *parameter"]]

    def sample(self, rng: Rng) -> RewardTask:
        """Return one task."""
        return self.sample_batch(rng, 1)[0]

    def sample_batch(self, rng: Rng, n_tasks: int) -> RewardTasks:
        """Return many tasks."""
        return RewardTasks(self.family, self.draw(n_tasks, rng))
