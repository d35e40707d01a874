"""Knows the second waist: a learning procedure turns a support set into a behavior and stays as it was."""

from typing import Protocol, TypeVar

from umeta.core.rng import Rng

SupportT_contra = TypeVar("SupportT_contra", contravariant=True)
BehaviorT_co = TypeVar("BehaviorT_co", covariant=True)


class LearningProcedure(Protocol[SupportT_contra, BehaviorT_co]):
    """What umeta ships: few examples in, something that works out."""

    @property
    def transductive(self) -> bool:
        """Whether a prediction depends on the other queries that are asked with it."""
        ...

    def adapt(self, support: SupportT_contra, rng: Rng) -> BehaviorT_co:
        """Learn from `support`; never changes the procedure itself."""
        ...
