"""Knows what a controlled process is to a learner: what is seen, what can be done, for how long; there is no reward in it."""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from umeta.core.rng import Rng


@dataclass(frozen=True)
class Box:
    """Vectors with bounds; a bound may be infinite.

    Attributes:
        low: Least value of each component.
        high: Greatest value of each component.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of components."""
        return len(self.low)

    def clip(self, values: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """Return values moved to the nearest bound where they lie beyond it."""
        return torch.maximum(torch.minimum(values, values.new_tensor(self.high)), values.new_tensor(self.low))


@dataclass(frozen=True)
class Discrete:
    """One of `n` choices, as int64 in `[0, n)`."""

    n: int

    def clip(self, values: Shaped[Tensor, "*batch"]) -> Shaped[Tensor, "*batch"]:
        """Return the values: a choice is never out of bounds."""
        return values


Space = Box | Discrete

EVERY = slice(None)


class Running(Protocol):
    """Copies of a process in motion, `n_task` times `n_episode`, all stepped at once."""

    @property
    def observation(self) -> Float[Tensor, "n_task n_episode n_observation"]:
        """What is seen now."""
        ...

    def step(
        self, action: Shaped[Tensor, "n_task n_episode *action"]
    ) -> tuple[Float[Tensor, "n_task n_episode n_observation"], Bool[Tensor, "n_task n_episode"]]:
        """Act once in every copy.

        Args:
            action: Float [n_task, n_episode, n_action] for a `Box`, values beyond the bounds are clipped; int64 [n_task, n_episode] for
                `Discrete`.

        Returns:
            What is seen then, and whether the episode goes on. A copy whose episode has ended stays where it is.
        """
        ...


class ControlledProcess(Protocol):
    """An MDP without its reward."""

    @property
    def name(self) -> str:
        """What a user types after `env:`."""
        ...

    @property
    def observation(self) -> Box:
        """What is seen; a discrete observation is one-hot."""
        ...

    @property
    def action(self) -> Space:
        """What can be done."""
        ...

    @property
    def horizon(self) -> int:
        """Steps in an episode at most."""
        ...

    @property
    def n_feature(self) -> int:
        """Length of what `feature` returns."""
        ...

    def feature(self, observation: Float[Tensor, "*batch n_observation"]) -> Float[Tensor, "*batch n_feature"]:
        """Return what of an observation tells skills apart, such as a position; all of it where nothing is known better.

        Of about the size 1, so that networks can read it.
        """
        ...

    def start(self, n_task: int, n_episode: int, rng: Rng, tasks: slice = EVERY) -> Running:
        """Begin episodes; all that is random in them, noise of later steps included, is a pure function of `rng`.

        Args:
            n_task: How many tasks there are.
            n_episode: How many episodes each has.
            rng: Of everything in these episodes.
            tasks: Begin those of some tasks only, the very episodes that these have among all.
        """
        ...
