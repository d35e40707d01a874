"""Knows which images are worth a label next: those that stand for many others, and once there are labels, for doubtful ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from umeta.core.errors import InputError
from umeta.images.embed.encoder import embed_all
from umeta.images.learners.protonets import PrototypeProcedure
from umeta.images.preparation import Images, check_several
from umeta.images.procedure import ImageLearningProcedure

MOST_COVERED = 4096


def suggest(
    procedure: ImageLearningProcedure, images: Images, n: int, labeled: tuple[Images, Sequence[Any]] | None = None
) -> NDArray[np.int64]:
    """Return which images to label next, the most useful first.

    Each next image is the one that brings the others nearest to one that is labeled or chosen: k-medoids, built up greedily. Where two
    classes have labels already, an image counts by the probability that what the classifier says of it is wrong.

    Args:
        procedure: Whose embedding says what is near.
        images: Unlabeled ones; of more than 4096, that many spread over all are to be covered, though any may be chosen.
        n: How many, at most as many as there are.
        labeled: Images with labels that are there already, and their labels.

    Returns:
        Indices into `images`.

    Raises:
        InputError: `n` is below 1, or there are fewer images, or none.

    Source:
        Greedy facility location: Nemhauser, Wolsey, Fisher 1978, whose bound of 63 % of the best coverage holds without the weights too.
    """
    check_several(images)
    if len(images) == 0:
        raise InputError("there are no images to choose from; give at least one")
    if not 1 <= n <= len(images):
        raise InputError(f"{n} of {len(images)} images cannot be suggested; give a number from 1 to {len(images)}")
    vectors = _embedded(procedure, images)
    known, weight = None, torch.ones(len(vectors))
    if labeled is not None and len(labeled[1]):
        known = _embedded(procedure, labeled[0])
        if len(set(labeled[1])) > 1:
            probabilities = torch.from_numpy(procedure.adapt(labeled).predict_proba(images))
            weight = 1 - probabilities.amax(-1) + 1e-6
    return cover(vectors, n, known, weight).numpy()


def cover(vectors: Float[Tensor, "n dim"], n: int, known: Float[Tensor, "m dim"] | None, weight: Float[Tensor, " n"]) -> Tensor:
    """Return the indices of `n` vectors, each the one that most shortens the weighted sum of distances to the nearest chosen or known."""
    some = torch.arange(0, len(vectors), -(-len(vectors) // MOST_COVERED))
    apart = torch.cdist(vectors[some], vectors)
    weight = weight[some].unsqueeze(1)
    nearest = apart.amax(1, keepdim=True) if known is None else torch.cdist(vectors[some], known).amin(1, keepdim=True)
    free, chosen = torch.ones(len(vectors), dtype=torch.bool), []
    for _ in range(n):
        gain = ((nearest - apart).clamp(min=0) * weight).sum(0)
        best = int(torch.where(free, gain, -1.0).argmax())
        chosen.append(best)
        free[best] = False
        nearest = torch.minimum(nearest, apart[:, best : best + 1])
    return torch.tensor(chosen)


def _embedded(procedure: ImageLearningProcedure, images: Images) -> Tensor:
    inner = procedure.procedure
    vectors = embed_all(inner.encoder, procedure.preparation.stacked(images))
    cosine = isinstance(inner, PrototypeProcedure) and inner.head.metric.kind == "cosine"
    return F.normalize(vectors, dim=-1) if cosine else vectors
