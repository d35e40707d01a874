"""Knows what every learner for control must ship: a procedure that adapts to a reward in stages, to many rewards at once."""

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor

from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFn, RewardTasks
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng


class Stage(Protocol):
    """Where the adaptation of a batch of tasks is."""

    @property
    def n_episode(self) -> int:
        """Episodes of each task that were run to come here."""
        ...

    def run(self, n_episode: int, rng: Rng) -> Trajectories:
        """Run episodes of every task as it was learned so far; nothing is learned from them."""
        ...


class Agent(Protocol):
    """What adaptation gives."""

    @property
    def process(self) -> ControlledProcess:
        """Where it acts."""
        ...

    def run(self, n_episode: int, rng: Rng) -> Trajectories:
        """Run episodes, with one task in front."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return all that the agent needs beside `describe`, for its artifact."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the rest, JSON-ready; `type` names the class, `process` the process."""
        ...


class ControlProcedure(Protocol):
    """A learning procedure for control; its support set is a reward function, about which it may ask in episodes that it runs."""

    @property
    def process(self) -> ControlledProcess:
        """Where."""
        ...

    @property
    def transductive(self) -> bool:
        """Never: an agent acts in one episode as if there were no others."""
        ...

    def stages(self, tasks: RewardTasks, rng: Rng) -> Iterator[Stage]:
        """Adapt to all tasks at once; yields the stage before anything was learned, and one after each step of adaptation."""
        ...

    def adapt(self, support: RewardFn, rng: Rng | None = None) -> Agent:
        """Adapt to one reward; never changes the procedure. Without a stream, that of seed 0 is taken."""
        ...


class ShippedProcedure(ControlProcedure, Protocol):
    """A procedure that a run leaves behind."""

    def with_episodes(self, n_episode: int) -> "ShippedProcedure":
        """Return the procedure that runs about this many episodes of a task in all, at least one step's."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return all that the procedure needs beside `describe`, for its artifact."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the rest, JSON-ready; `type` names the class, `process` the process."""
        ...
