"""Knows how long each trained stage of a run may take, and how it is watched and picked up where it was left."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from umeta.artifacts.run import RunFolder, StageObserver
from umeta.core.loop import Pace, Position
from umeta.core.metalearner import Metrics, TrainState
from umeta.core.progress import Reporter

StateT = TypeVar("StateT", bound=TrainState)
CLOSING_S = 1.0


class Timed(Protocol):
    """A request, as far as its length goes."""

    @property
    def budget_s(self) -> float | None:
        """Seconds for everything, or None."""
        ...

    @property
    def steps(self) -> int | None:
        """Steps of every trained stage, or None; exactly one of the two is given."""
        ...


class Stages:
    """The trained stages of one run.

    Args:
        timed: How long the run may be.
        run: Its folder.
        reporter: Where progress goes.
        stop: Whether somebody asked to stop.
        closing_s: Seconds to keep for what comes after the last stage.
    """

    def __init__(self, timed: Timed, run: RunFolder, reporter: Reporter, stop: Callable[[], bool], closing_s: float = CLOSING_S) -> None:
        self._timed, self._run, self._reporter, self._stop, self._closing_s = timed, run, reporter, stop, closing_s

    def pace(self, stage: str, share: float | None, after_s: float = 0.0) -> Pace:
        """Return a stage's pace: the steps asked for, or seconds up to a share of the budget (None: all that is left, less `after_s`)."""
        if self._timed.steps is not None:
            return Pace(n_steps=self._timed.steps)
        budget_s = self._timed.budget_s
        assert budget_s is not None
        until_s = budget_s * share if share is not None else budget_s - self._closing_s - after_s
        return Pace(seconds=self._run.remember(f"{stage}_s", lambda: max(until_s - self._run.elapsed_s, 1.0)))

    def observed(
        self, stage: str, pace: Pace, shown: str, state: StateT, probe: Callable[[StateT], Metrics] | None = None
    ) -> tuple[Position | None, StageObserver]:
        """Load the newest checkpoint of a stage into `state` and return its position and an observer."""
        self._reporter.stage(stage)
        start = self._run.load_checkpoint(stage, state)
        if start is not None:
            self._reporter.note(f"{stage}: goes on at step {start.step}")
        return start, StageObserver(self._run, stage, pace, self._reporter, self._stop, shown, start.step if start else 0, probe)
