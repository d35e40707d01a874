"""Knows how tasks are made from true labels: held-out tasks to score on, and the supervised oracle's training tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umeta.benchmarks.benchmark import FixedTask, LabeledImages
from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.images.episode import Episode, Episodes, Pool
from umeta.images.partition.partition import Partitions
from umeta.images.tasks.partition_tasks import PartitionTasks


def labeled_tasks(labeled: LabeledImages, pool: Pool, *, n_way: int, k_shot: int, n_query: int) -> PartitionTasks:
    """Draw few-shot tasks from true classes.

    Args:
        labeled: Whose labels are used.
        pool: The same images, in the size that the learner wants.
        n_way: Classes per task.
        k_shot: Support images per class.
        n_query: Query images per class.

    Raises:
        InputError: Too few classes, or too few images in each; the message names the largest numbers that work.
    """
    counts = np.bincount(labeled.labels, minlength=labeled.n_classes)
    if n_way > labeled.n_classes:
        raise InputError(
            f"there are {labeled.n_classes} classes, so {n_way}-way tasks are not possible; use at most {labeled.n_classes} ways"
        )
    enough = int((counts >= k_shot + n_query).sum())
    if enough < n_way:
        most = int(np.sort(counts)[-n_way])
        raise InputError(
            f"{k_shot} shots + {n_query} queries need {k_shot + n_query} images per class, but {n_way} classes have at most {most}; "
            f"use at most {max(most - k_shot, 0)} queries"
        )
    return PartitionTasks(pool, Partitions.from_labels([labeled.labels], k_shot + n_query), n_way, k_shot, n_query)


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
