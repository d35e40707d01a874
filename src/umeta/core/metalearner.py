"""Knows what a meta-learner is: a triple of init, step and export over a state that is nothing but tensors."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from umeta.core.rng import Rng

Metrics = Mapping[str, float]

TaskT_contra = TypeVar("TaskT_contra", contravariant=True)
ProcedureT_co = TypeVar("ProcedureT_co", covariant=True)


class TrainState(Protocol):
    """All that changes in training, so that a checkpoint of its tensors is a checkpoint of the run."""

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor that `load_tensors` needs to go on bit for bit."""
        ...

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the values that `tensors` of an equal state returned; raises `ArtifactError` where they do not fit."""
        ...

    def anneal(self, progress: float) -> None:
        """Set the learning rates for a point in `[0, 1]` of the schedule."""
        ...


StateT = TypeVar("StateT", bound=TrainState)


class MetaLearner(Protocol[TaskT_contra, StateT, ProcedureT_co]):
    """An algorithm object; its fields are its configuration."""

    def init(self, rng: Rng) -> StateT:
        """Return a fresh state."""
        ...

    def step(self, state: StateT, tasks: Sequence[TaskT_contra], rng: Rng) -> tuple[StateT, Metrics]:
        """Practice on a batch of tasks once. The given state is used up; `metrics["loss"]` is the outer loss."""
        ...

    def export(self, state: StateT) -> ProcedureT_co:
        """Return the learning procedure; later steps do not change it."""
        ...
