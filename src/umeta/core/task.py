"""Knows the first waist: what a task is, and that a distribution of tasks is a pure function of a random stream."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from umeta.core.rng import Rng

SupportT_co = TypeVar("SupportT_co", covariant=True)
QueryT_co = TypeVar("QueryT_co", covariant=True)
TaskT_co = TypeVar("TaskT_co", covariant=True)


class Task(Protocol[SupportT_co, QueryT_co]):
    """Unlabeled stuff plus an annotation, in two disjoint sets."""

    @property
    def support(self) -> SupportT_co:
        """All that `adapt` may see."""
        ...

    @property
    def query(self) -> QueryT_co:
        """For the outer loss and for `evaluate` only."""
        ...


class TaskDistribution(Protocol[TaskT_co]):
    """A way to propose tasks: the first waist of the hourglass."""

    def sample(self, rng: Rng) -> TaskT_co:
        """Return one task; the same stream always gives the same task."""
        ...

    def sample_batch(self, rng: Rng, n_tasks: int) -> Sequence[TaskT_co]:
        """Return many tasks at once, the normal path; `sample` is its special case of one."""
        ...
