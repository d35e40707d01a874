"""Knows how clusters become few-shot tasks: CACTUs' episodes, a whole batch of them as one index array."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umeta.core.rng import Rng
from umeta.functional.sampling import choose
from umeta.images.episode import Augmentation, Episode, Episodes, Pool
from umeta.images.partition.partition import Partitions


@dataclass(frozen=True)
class PartitionTasks:
    """Draw a partition, then clusters as classes in random order, then images of each, all without replacement.

    With a partition of one's own, such as true classes in `benchmarks/`, the same object draws the tasks that people labeled.

    Attributes:
        pool: The images.
        partitions: Clusters of at least `k_shot + n_query` images.
        n_way: Classes per task.
        k_shot: Support images per class.
        n_query: Query images per class.
        augment: Applied to the gathered images of a batch, or None.
        weights: How probable each partition is, shape [n_partitions], of sum 1; None is all the same.

    Raises:
        InputError: A partition has fewer than `n_way` usable clusters.

    Source:
        Hsu et al. 2019 (arXiv:1810.02334), algorithm 1.
    """

    pool: Pool
    partitions: Partitions
    n_way: int
    k_shot: int
    n_query: int
    augment: Augmentation | None = None
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        self.partitions.require_ways(self.n_way)

    def sample_index(self, rng: Rng, n_tasks: int) -> NDArray[np.int64]:
        """Return image indices, shape [n_tasks, n_way, k_shot + n_query]."""
        generator = rng.numpy()
        parts = self.partitions
        if self.weights is None:
            which = generator.integers(parts.n_partitions, size=n_tasks)
        else:
            which = generator.choice(parts.n_partitions, size=n_tasks, p=self.weights)
        clusters = parts.first[which, None] + choose(parts.n_clusters[which], self.n_way, generator)
        places = choose(parts.size[clusters], self.k_shot + self.n_query, generator)
        indices: NDArray[np.int64] = parts.members.take(parts.start[clusters][..., None] + places)
        return indices

    def sample_batch(self, rng: Rng, n_tasks: int) -> Episodes:
        """Return a batch of tasks; a pure function of `rng`."""
        return Episodes(self.pool, self.sample_index(rng, n_tasks), self.k_shot, self.augment, rng.fork("augment"))

    def sample(self, rng: Rng) -> Episode:
        """Return one task."""
        return self.sample_batch(rng, 1)[0]
