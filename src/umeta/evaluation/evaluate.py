"""Knows how a learning procedure is scored: the same tasks for all, once, with an interval over tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from umeta.core.rng import Rng
from umeta.core.task import TaskDistribution
from umeta.functional.statistics import mean_ci95

TaskT = TypeVar("TaskT")
ProcedureT = TypeVar("ProcedureT")
CHUNK = 100


@dataclass(frozen=True)
class Scores:
    """One number per adaptation stage and task, higher is better.

    Attributes:
        values: Shape [n_stage, n_task].
    """

    values: NDArray[np.float64]

    def summary(self, stage: int = -1) -> tuple[float, float]:
        """Return mean and 95 % half-width over tasks at a stage, by default the last."""
        return mean_ci95(self.values[stage])


def evaluate(
    procedure: ProcedureT,
    tasks: TaskDistribution[TaskT],
    measure: Callable[[ProcedureT, Sequence[TaskT], Rng], NDArray[np.floating]],
    *,
    n_tasks: int,
    rng: Rng,
    on_progress: Callable[[float], None] | None = None,
) -> Scores:
    """Adapt to held-out tasks and score each on its query set.

    Tasks are drawn in chunks of 100 from `rng.fork("tasks", chunk)`, so that two procedures scored with equal `rng` see equal tasks, and
    the first tasks do not depend on how many follow.

    Args:
        procedure: What is scored.
        tasks: Held-out tasks.
        measure: Adapts to a batch of tasks and returns scores [n_stage, n_task]; it may not change the procedure.
        n_tasks: How many tasks.
        rng: The evaluation's stream.
        on_progress: Called with the share done.
    """
    parts = []
    for index, first in enumerate(range(0, n_tasks, CHUNK)):
        batch = tasks.sample_batch(rng.fork("tasks", index), CHUNK)[: n_tasks - first]
        parts.append(np.asarray(measure(procedure, batch, rng.fork("adapt", index)), np.float64))
        if on_progress:
            on_progress(min((first + CHUNK) / n_tasks, 1.0))
    return Scores(np.concatenate(parts, axis=1))
