"""Knows how tasks are made from true labels: held-out tasks to score on, and the supervised oracle's training tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umeta.benchmarks.benchmark import FixedTask, Labeled
from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.images.episode import Episode, Episodes, Pool
from umeta.images.partition.partition import Partitions
from umeta.images.tasks.partition_tasks import PartitionTasks


def class_sizes(labelings: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """Return how many images each class of each labeling has, the smallest first."""
    return [np.sort(np.bincount(one[one >= 0])) for one in labelings]


def usable_labelings(labelings: NDArray[np.integer], *, n_way: int, k_shot: int, n_query: int) -> NDArray[np.integer]:
    """Return the labelings that have `n_way` classes with images enough for a task.

    Args:
        labelings: Shape [n_labelings, n]; -1 means in no class.
        n_way: Classes per task.
        k_shot: Support images per class.
        n_query: Query images per class.

    Raises:
        InputError: There is none; the message names the largest numbers that work.
    """
    sizes = class_sizes(labelings)
    n_classes = max(map(len, sizes), default=0)
    if n_way > n_classes:
        raise InputError(f"there are {n_classes} classes, so {n_way}-way tasks are not possible; use at most {n_classes} ways")
    room = np.array([one[-n_way] if len(one) >= n_way else 0 for one in sizes])
    if room.max() < k_shot + n_query:
        raise InputError(
            f"{k_shot} shots + {n_query} queries need {k_shot + n_query} images per class, but {n_way} classes have at most {room.max()}; "
            f"use at most {max(room.max() - k_shot, 0)} queries"
        )
    return labelings[room >= k_shot + n_query]


def mixed_weights(n_partitions: int, n_labelings: int, share: float) -> NDArray[np.float64]:
    """Return how probable each of `n_partitions` partitions and then `n_labelings` labelings is, where labelings have a share of all tasks.

    Source:
        Hsu et al. 2019 (arXiv:1810.02334), the authors' code in its semi-supervised mode.
    """
    weights = [np.full(n_partitions, (1 - share) / n_partitions), np.full(n_labelings, share / n_labelings)]
    return np.concatenate(weights)


def labeled_tasks(labeled: Labeled, pool: Pool, *, n_way: int, k_shot: int, n_query: int) -> PartitionTasks:
    """Draw few-shot tasks from true classes: a labeling that has enough of them, then its classes.

    Args:
        labeled: Whose labels are used.
        pool: The same images, in the size that the learner wants.
        n_way: Classes per task.
        k_shot: Support images per class.
        n_query: Query images per class.

    Raises:
        InputError: Too few classes, or too few images in each; the message names the largest numbers that work.
    """
    labelings = usable_labelings(labeled.labelings, n_way=n_way, k_shot=k_shot, n_query=n_query)
    return PartitionTasks(pool, Partitions.from_labels(list(labelings), k_shot + n_query), n_way, k_shot, n_query)


@dataclass(frozen=True)
class FixedTasks:
    """Tasks that a benchmark has laid down one by one; drawing gives them in order, whatever the stream.

    Attributes:
        pool: Images of all tasks.
        indices: Shape [n_task, n_way, k_shot + n_query].
        k_shot: Support images per class.
    """

    pool: Pool
    indices: NDArray[np.int64]
    k_shot: int

    @classmethod
    def gather(cls, tasks: Sequence[FixedTask], fit: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> "FixedTasks":
        """Lay tasks of equal shape out as one pool and one index array; `fit` brings images to the learner's size."""
        images, indices, offset = [], [], 0
        for task in tasks:
            rows = []
            for part in (task.support, task.query):
                order = np.argsort(part.labels, kind="stable")
                rows.append(offset + order.reshape(part.n_classes, -1))
                images.append(part.images)
                offset += len(part.images)
            indices.append(np.concatenate(rows, axis=1))
        k_shot = len(tasks[0].support.labels) // tasks[0].support.n_classes
        return cls(Pool(fit(np.concatenate(images))), np.stack(indices).astype(np.int64), k_shot)

    def sample_batch(self, rng: Rng, n_tasks: int) -> Episodes:
        """Return the first `n_tasks` tasks."""
        return Episodes(self.pool, self.indices[:n_tasks], self.k_shot)

    def sample(self, rng: Rng) -> Episode:
        """Return the first task."""
        return self.sample_batch(rng, 1)[0]
