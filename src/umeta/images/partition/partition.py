"""Knows what a set of partitions is: for each, which images share a pseudo-label, laid out so that tasks can be drawn in bulk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umeta.core.errors import InputError


@dataclass(frozen=True)
class Partitions:
    """Several ways to cut one pool into clusters, with the clusters too small for a task left out.

    Clusters of all partitions are numbered through; cluster `c` holds `members[start[c] : start[c] + size[c]]`, and partition `p` owns the
    clusters `first[p]` to `first[p + 1] - 1`.

    Attributes:
        members: Image indices, cluster after cluster.
        start: Where each cluster begins in `members`.
        size: Images per cluster.
        first: Shape [n_partitions + 1].
    """

    members: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def from_labels(cls, labels: Sequence[NDArray[np.integer]], min_size: int) -> "Partitions":
        """Group images by label, once per partition.

        Args:
            labels: One array [n_images] per partition; negative means in no cluster.
            min_size: Clusters with fewer images are dropped (CACTUs: `k_shot + n_query`).
        """
        members: list[NDArray[np.int64]] = []
        sizes: list[NDArray[np.int64]] = []
        first = [0]
        for one in labels:
            order = np.argsort(one, kind="stable")
            names, counts = np.unique(one, return_counts=True)
            kept = (names >= 0) & (counts >= min_size)
            members.append(order[np.repeat(kept, counts)])
            sizes.append(counts[kept])
            first.append(first[-1] + int(kept.sum()))
        size = np.concatenate(sizes) if sizes else np.zeros(0, np.int64)
        start = np.concatenate([[0], np.cumsum(size)])[: len(size)].astype(np.int64)
        joined = np.concatenate(members) if members else np.zeros(0, np.int64)
        return cls(joined.astype(np.int64), start, size.astype(np.int64), np.array(first))

    @property
    def n_partitions(self) -> int:
        """Number of partitions."""
        return len(self.first) - 1

    @property
    def n_clusters(self) -> NDArray[np.int64]:
        """Usable clusters of each partition."""
        return np.diff(self.first)

    def require_ways(self, n_way: int) -> None:
        """Raise `InputError` with the numbers that would work if a partition has fewer than `n_way` usable clusters."""
        fewest = int(self.n_clusters.min()) if self.n_partitions else 0
        if fewest < n_way:
            raise InputError(
                f"{n_way}-way tasks need {n_way} clusters that are large enough, but a partition has only {fewest}; "
                f"use at most {max(fewest, 0)} ways, fewer shots and queries, or more images"
            )
