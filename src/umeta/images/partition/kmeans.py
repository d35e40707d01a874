"""Knows how CACTUs cuts an embedding: k-means, repeated under random diagonal metrics."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.errors import InputError
from umeta.core.hands import Hands, in_turn
from umeta.core.rng import Rng
from umeta.images.partition.partitioner import Progress, repeated
from umeta.images.partition.seeding import first_centers

N_STARTS_ALONE = 10
POINTS_FOR_HALF = 20


@dataclass(frozen=True)
class KMeansPartitioner:
    """Cut one embedding into `k` clusters, several times, each time in another metric.

    Partition 0 clusters the embedding as it is; every further one first multiplies each dimension by its own `w ~ U(0, 1)`.

    Attributes:
        k: Clusters per partition; of several numbers each partition takes the next, and begins again with the first.
        n_partitions: How many.
        n_iter: Lloyd iterations from the centers of `first_centers`; where there are at least 20 points a cluster, the first half of the
            iterations looks at every second point only.
        max_tries: A clustering with fewer than `min_share * k` clusters of usable size is drawn anew, at most so often; the best is kept.
        min_share: See `max_tries`.

    Source:
        Hsu et al. 2019 (arXiv:1810.02334), section 2.2 and the authors' code. Departures: faiss instead of scikit-learn, other
        first centers, `n_iter` iterations instead of convergence, and a bound on the tries.
    """

    k: int | tuple[int, ...] = 500
    n_partitions: int = 100
    n_iter: int = 6
    max_tries: int = 3
    min_share: float = 0.75

    def fit(
        self,
        embedding: Float[Tensor, "n dim"],
        rng: Rng,
        *,
        min_size: int,
        seconds: float | None = None,
        on_progress: Progress | None = None,
        by: Hands = in_turn,
    ) -> list[NDArray[np.int32]]:
        """Return one array of pseudo-labels in `[0, k)` per partition. See `Partitioner.fit`.

        Raises:
            InputError: Fewer images than `k`, or all embeddings alike.
        """
        sizes = (self.k,) if isinstance(self.k, int) else self.k
        points = np.ascontiguousarray(embedding.numpy(), np.float32)
        if len(points) < max(sizes):
            raise InputError(f"{max(sizes)} clusters need at least {max(sizes)} images, there are {len(points)}; use fewer clusters")
        if float(np.ptp(points, axis=0).max(initial=0.0)) == 0.0:
            raise InputError(
                f"all {len(points)} embeddings are the same: there is only one cluster and nothing to tell apart; "
                "give different images, or another --embedding"
            )

        return repeated(partial(self._partition, points, rng, min_size), self.n_partitions, seconds, on_progress, by)

    def _partition(self, points: NDArray[np.float32], rng: Rng, min_size: int, index: int) -> NDArray[np.int32]:
        sizes = (self.k,) if isinstance(self.k, int) else self.k
        k = sizes[index % len(sizes)]
        best: NDArray[np.int32] | None = None
        most = -1
        for attempt in range(self.max_tries):
            stream = rng.fork("partition", index).fork("attempt", attempt)
            view = points
            if index > 0:
                view = points * stream.fork("scale").numpy().random(points.shape[1], np.float32)
            labels = self._cluster(view, k, stream.fork("centers"))
            usable = int((np.bincount(labels, minlength=k) >= min_size).sum())
            if usable > most:
                best, most = labels, usable
            if usable > self.min_share * k:
                break
        assert best is not None
        return best

    def _cluster(self, points: NDArray[np.float32], k: int, rng: Rng) -> NDArray[np.int32]:
        found = []
        for number in range(N_STARTS_ALONE if self.n_partitions == 1 else 1):
            centers = first_centers(points, k, rng.fork("start", number).numpy())
            n_half = self.n_iter // 2 if len(points) >= POINTS_FOR_HALF * k else 0
            if n_half:
                centers = _lloyd(np.ascontiguousarray(points[::2]), centers, n_half).centroids
            found.append(_lloyd(points, centers, self.n_iter - n_half))
        best = min(found, key=lambda kmeans: float(kmeans.obj[-1]))
        nearest: NDArray[np.int32] = best.index.search(points, 1)[1][:, 0].astype(np.int32)
        return nearest


def _lloyd(points: NDArray[np.float32], centers: NDArray[np.float32], n_iter: int) -> Any:
    kmeans = faiss.Kmeans(points.shape[1], len(centers), niter=n_iter, min_points_per_centroid=1, max_points_per_centroid=len(points))
    kmeans.train(points, init_centroids=centers)
    return kmeans
