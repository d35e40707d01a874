"""Knows the one outer loop: when it ends, when it saves, and that a resumed run is the run that was never stopped."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

from umeta.core.errors import DivergedError, InterruptedRunError
from umeta.core.metalearner import MetaLearner, Metrics, StateT
from umeta.core.parallel import ALONE, Team
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.core.task import TaskDistribution

TaskT = TypeVar("TaskT")
ProcedureT = TypeVar("ProcedureT")


@dataclass(frozen=True)
class Pace:
    """How long to train: a number of steps (exactly repeatable) or a number of seconds (ends on time on any machine).

    Attributes:
        n_steps: Steps in all, or None.
        seconds: Wall-clock seconds in all, or None. Exactly one of the two is given.
    """

    n_steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.n_steps is None) == (self.seconds is None):
            raise ValueError("a pace has either n_steps or seconds")

    def progress(self, step: int, elapsed_s: float) -> float:
        """Return the share of the schedule that is behind, in `[0, 1]`."""
        if self.n_steps is not None:
            return 1.0 if self.n_steps <= 0 else min(step / self.n_steps, 1.0)
        assert self.seconds is not None
        return 1.0 if self.seconds <= 0 else min(elapsed_s / self.seconds, 1.0)


@dataclass(frozen=True)
class Position:
    """Where a training is: steps done, seconds spent, share of the schedule behind."""

    step: int = 0
    elapsed_s: float = 0.0
    progress: float = 0.0


class Observer(Protocol):
    """What watches a training: metrics files, progress lines, checkpoints, the wish to stop."""

    def on_step(self, position: Position, metrics: Metrics) -> None:
        """Called after every step."""
        ...

    def wants_checkpoint(self, position: Position) -> bool:
        """Whether to save now."""
        ...

    def save(self, position: Position, state: StateT) -> None:
        """Save all that a resumed run needs."""
        ...

    def wants_stop(self) -> bool:
        """Whether a person or the system asked the run to end early."""
        ...


class Silent:
    """The observer that does nothing."""

    def on_step(self, position: Position, metrics: Metrics) -> None:
        """Ignore the step."""

    def wants_checkpoint(self, position: Position) -> bool:
        """Never save."""
        return False

    def save(self, position: Position, state: StateT) -> None:
        """Save nothing."""

    def wants_stop(self) -> bool:
        """Never stop early."""
        return False


def train(
    state: StateT,
    step: Callable[[StateT, int], tuple[StateT, Metrics]],
    pace: Pace,
    *,
    start: Position | None = None,
    observer: Observer | None = None,
    team: Team = ALONE,
) -> StateT:
    """Repeat a step until the pace is over; every training in umeta, with tasks or without, runs through here.

    Args:
        state: Fresh, or loaded from a checkpoint that was saved at `start`.
        step: Maps a state and the step's index to the next state and metrics; randomness must follow from the index alone.
        pace: When the schedule ends.
        start: Where a resumed run goes on.
        observer: Watches and saves.
        team: The processes that share each step; all go by the clock of process 0, and stop where one is asked to.

    Returns:
        The final state.

    Raises:
        DivergedError: The loss became NaN or infinite; nothing was saved after the step before.
        InterruptedRunError: The observer asked to stop; the state was saved.
    """
    observer = observer or Silent()
    position = start or Position(progress=pace.progress(0, 0.0))
    began = time.monotonic() - position.elapsed_s
    while position.progress < 1.0:
        state.anneal(position.progress)
        state, metrics = step(state, position.step)
        if not math.isfinite(metrics["loss"]):
            raise DivergedError(
                f"the loss became {metrics['loss']} at step {position.step + 1}; a checkpoint saved before is kept, "
                "try another --seed, or a smaller learning rate"
            )
        elapsed_s = time.monotonic() - began
        elapsed_s, progress = team.led(elapsed_s, pace.progress(position.step + 1, elapsed_s))
        position = Position(position.step + 1, elapsed_s, progress)
        observer.on_step(position, metrics)
        if team.any(observer.wants_stop()):
            observer.save(position, state)
            raise InterruptedRunError(f"stopped at step {position.step}")
        if observer.wants_checkpoint(position):
            observer.save(position, state)
    return state


def meta_train(
    learner: MetaLearner[TaskT, StateT, ProcedureT],
    tasks: TaskDistribution[TaskT],
    *,
    meta_batch_size: int,
    pace: Pace,
    rng: Rng,
    state: StateT | None = None,
    start: Position | None = None,
    observer: Observer | None = None,
    team: Team = ALONE,
) -> ProcedureT:
    """Practice on proposed tasks and return the learning procedure.

    Args:
        learner: The algorithm.
        tasks: The task distribution; step `i` draws its batch from `rng.fork("tasks", i)`.
        meta_batch_size: Tasks per step.
        pace: When the schedule ends.
        rng: The run's stream; the initial state comes from `rng.fork("init")`.
        state: The state to go on from; None starts afresh.
        start: The position that `state` was saved at.
        observer: Watches and saves.
        team: The processes that share each step, as far as the learner knows how to; the result is that of one process, up to rounding.
    """

    def step(current: StateT, index: int) -> tuple[StateT, Metrics]:
        batch: Sequence[TaskT] = tasks.sample_batch(rng.fork("tasks", index), meta_batch_size)
        current, metrics = learner.step(current, batch, rng.fork("step", index))
        return current, team.mean(metrics)

    first = learner.init(rng.fork("init")) if state is None else state
    assert team.size == 1 or isinstance(first, ModuleState), "several processes share the step of a ModuleState"
    with first.shared(team) if isinstance(first, ModuleState) else nullcontext():
        return learner.export(train(first, step, pace, start=start, observer=observer, team=team))
