"""Knows how well groups of images agree with the classes that people gave them; no learner ever sees these numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, eye_array

from umeta.benchmarks.benchmark import Labeled
from umeta.images.pixels import content_hash


@dataclass(frozen=True)
class Agreement:
    """How a partition agrees with true classes.

    Attributes:
        purity: Share of the images whose class is the most frequent one of their cluster.
        nmi: Normalized mutual information, over the arithmetic mean of the two entropies; 0 where both are one group.
    """

    purity: float
    nmi: float


def agreement(clusters: NDArray[np.integer], classes: NDArray[np.integer]) -> Agreement:
    """Compare a partition with true classes, over the images that have both; a negative number means none.

    Args:
        clusters: Pseudo-label of each image, shape [n].
        classes: True class of each image, shape [n].

    Raises:
        ValueError: No image has both.
    """
    both = (clusters >= 0) & (classes >= 0)
    if not both.any():
        raise ValueError("no image has both a cluster and a class")
    counts = coo_array((np.ones(both.sum()), (clusters[both], classes[both]))).tocsr()
    counts.sum_duplicates()
    joint = counts.data / both.sum()
    of_cluster, of_class = counts.sum(1) / both.sum(), counts.sum(0) / both.sum()
    apart = _entropy(of_cluster) + _entropy(of_class)
    shared = apart - _entropy(joint)
    return Agreement(float(counts.max(1).sum() / both.sum()), float(max(2 * shared / apart, 0.0)) if apart > 0 else 0.0)


def _entropy(shares: NDArray[np.float64]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def mean_agreement(partitions: Iterable[NDArray[np.integer]], classes: NDArray[np.integer]) -> Agreement:
    """Return purity and information, each the mean over partitions."""
    found = [agreement(one, classes) for one in partitions]
    return Agreement(float(np.mean([one.purity for one in found])), float(np.mean([one.nmi for one in found])))


def classes_of(hashes: NDArray[np.uint8], labeled: Sequence[Labeled]) -> NDArray[np.int64]:
    """Return the true class of every image of a pool, found by its content, shape [n]; -1 where the labels know no such image.

    Args:
        hashes: Content hashes of the pool, shape [n, 16]; see `umeta.images.pixels.content_hash`.
        labeled: Splits whose images went into the pool, with one labeling each; classes of different splits are different.
    """
    known: dict[bytes, int] = {}
    first = 0
    for split in labeled:
        (labels,) = split.labelings
        for image, label in zip(split.images, labels, strict=True):
            pixels = image[0] if image.shape[0] == 1 else np.moveaxis(image, 0, -1)
            known[content_hash(pixels)] = first + int(label)
        first += split.n_classes
    return np.array([known.get(row.tobytes(), -1) for row in hashes], np.int64)


def pairs_of(labels: NDArray[np.integer]) -> csr_array:
    """Return which images share a label as a sparse matrix [n, n] without a diagonal; negative labels share none."""
    known = np.flatnonzero(labels >= 0)
    member = csr_array((np.ones(len(known)), (known, labels[known])), shape=(len(labels), int(labels.max()) + 1))
    return without_diagonal(member @ member.T)


def without_diagonal(pairs: csr_array) -> csr_array:
    """Return the pairs of different images."""
    return csr_array(pairs - pairs * eye_array(pairs.shape[0]))


def pair_quality(found: csr_array, truth: csr_array) -> dict[str, float]:
    """Return the pairs found per image, the share of them that is right, and the share of right ones that is found."""
    found, truth = (found > 0).astype(np.float64), (truth > 0).astype(np.float64)
    right = (found * truth).sum()
    return {
        "per_image": round(found.sum() / found.shape[0], 2),
        "precision": round(right / max(found.sum(), 1), 4),
        "recall": round(right / truth.sum(), 4),
    }
