"""Knows how good a set of partitions is as far as that can be told without a label."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.rng import Rng

PARTITION_QUALITY = "partition.json"
N_SAMPLE = 2000
N_PAIRS = 5


def describe_partitions(
    labels: Sequence[NDArray[np.integer]], embedding: Float[Tensor, "n dim"] | None, rng: Rng, *, min_size: int
) -> dict[str, Any]:
    """Say what partitions are like: sizes of clusters, how well they part the embedding, and whether partitions find the same.

    Args:
        labels: One array [n] per partition; negative means in no cluster.
        embedding: What was cut; None where nothing was, and then there is no silhouette.
        rng: Which images are looked at, at most `N_SAMPLE`.
        min_size: Images that a cluster needs to be usable.

    Returns:
        A JSON-ready object. `sizes` are of all clusters of all partitions: least, quartiles, most; `n_usable` is the mean over partitions
        and the least; `covered` is the share of images in usable clusters. `silhouette`, in `[-1, 1]`, is that of the first
        partition in the embedding: above 0 where images are nearer to their own cluster than to the next. `stability` is the mean adjusted
        mutual information of the first partition and up to `N_PAIRS` others: 1 where they are the same, 0 where they agree by chance.
        What cannot be computed is None.

    Source:
        Silhouette: Rousseeuw 1987. Adjusted mutual information: Vinh, Epps and Bailey 2010.
    """
    counts = [np.bincount(one[one >= 0]) for one in labels]
    sizes = np.concatenate([one[one > 0] for one in counts])
    usable = [one[one >= min_size] for one in counts]
    n_usable = [len(one) for one in usable]
    chosen = rng.numpy().permutation(len(labels[0]))[:N_SAMPLE]
    quartiles = np.percentile(sizes, [0, 25, 50, 75, 100]).round().astype(int).tolist() if len(sizes) else None
    return {
        "n_images": len(labels[0]),
        "n_partitions": len(labels),
        "min_size": min_size,
        "n_clusters": round(float(np.mean([(one > 0).sum() for one in counts])), 1),
        "sizes": quartiles,
        "n_usable": {"mean": round(float(np.mean(n_usable)), 1), "least": min(n_usable)},
        "covered": round(float(np.mean([one.sum() for one in usable]) / len(labels[0])), 4),
        "silhouette": None if embedding is None else _silhouette(embedding.numpy()[chosen], labels[0][chosen]),
        "stability": _stability([one[chosen] for one in labels[: N_PAIRS + 1]]),
    }


def _silhouette(points: NDArray[np.float32], labels: NDArray[np.integer]) -> float | None:
    """Return the mean silhouette of the points whose cluster has another; scikit-learn is slow to import, so only here."""
    from sklearn.metrics import silhouette_score

    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept = (labels >= 0) & (counts[inverse] > 1)
    if len(np.unique(labels[kept])) < 2:
        return None
    return round(float(silhouette_score(points[kept], labels[kept])), 4)


def _stability(labels: Sequence[NDArray[np.integer]]) -> float | None:
    from sklearn.metrics import adjusted_mutual_info_score

    first, *others = labels
    both = [(first >= 0) & (other >= 0) for other in others]
    found = [adjusted_mutual_info_score(first[kept], other[kept]) for other, kept in zip(others, both, strict=True) if kept.any()]
    return round(float(np.mean(found)), 4) if found else None
