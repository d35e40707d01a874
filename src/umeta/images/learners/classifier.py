"""Knows what every image learner must offer: a procedure that adapts, one task at a time or a batch of tasks at once."""

from collections.abc import Mapping
from typing import Any, Protocol

from jaxtyping import Float, Int
from torch import Tensor

from umeta.core.rng import Rng
from umeta.images.embed.encoder import Encoder
from umeta.images.episode import Episodes, Examples


class ImageClassifier(Protocol):
    """What adaptation gives: images in, one score per class out."""

    @property
    def n_way(self) -> int:
        """Number of classes."""
        ...

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n n_way"]:
        """Score images with values in `[0, 1]`; softmax of a row gives probabilities."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return all that the classifier needs beside `describe`, for its artifact."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the rest, JSON-ready; `type` names the class."""
        ...


class ImageProcedure(Protocol):
    """A learning procedure for images."""

    @property
    def transductive(self) -> bool:
        """Whether a prediction depends on the other queries."""
        ...

    @property
    def encoder(self) -> Encoder:
        """What images become before any example is seen: the vectors whose neighborhoods tell how far the learner has come."""
        ...

    def adapt(self, support: Examples, rng: Rng) -> ImageClassifier:
        """Learn any number of classes from any number of examples of each."""
        ...

    def logits(self, episodes: Episodes, rng: Rng) -> Float[Tensor, "n_stage n_task n_query n_way"]:
        """Adapt to every task of a batch and score its queries, class after class.

        The first axis is the adaptation step, from 0; a learner without steps has one stage.
        """
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights, for the artifact."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the rest, JSON-ready; `type` names the class."""
        ...


def restored(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under a prefix, with the prefix taken off."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def accuracy(logits: Float[Tensor, "n_stage n_task n_query n_way"], labels: Int[Tensor, " n_query"]) -> Float[Tensor, "n_stage n_task"]:
    """Return the share of right answers per stage and task; a tie goes to the lower label, as `argmax` has it."""
    return (logits.argmax(-1) == labels.to(logits.device)).float().mean(-1)
