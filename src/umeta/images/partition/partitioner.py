"""Knows what every way to cut an embedding must offer, and how partitions are drawn one after another until time is up."""

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.rng import Rng

Progress = Callable[[int, int], None]


class Partitioner(Protocol):
    """A way to cut the images of an embedding into cells that stand in for classes, several times."""

    @property
    def n_partitions(self) -> int:
        """How many partitions are wanted."""
        ...

    def fit(
        self,
        embedding: Float[Tensor, "n dim"],
        rng: Rng,
        *,
        min_size: int,
        seconds: float | None = None,
        on_progress: Progress | None = None,
    ) -> list[NDArray[np.int32]]:
        """Return one array of pseudo-labels per partition; negative means in no cell.

        Args:
            embedding: One vector per image.
            rng: Partition `p` uses `rng.fork("partition", p)`.
            min_size: Images that a cell needs to be usable.
            seconds: Stop early, after at least one partition, once so much time is spent; None finishes all.
            on_progress: Called with partitions done and wanted.

        Raises:
            InputError: The images cannot be cut so; the message has the numbers that are in the way.
        """
        ...


def repeated(
    draw: Callable[[int], NDArray[np.int32]], n_partitions: int, seconds: float | None = None, on_progress: Progress | None = None
) -> list[NDArray[np.int32]]:
    """Draw partitions 0, 1, ... as `Partitioner.fit` promises: all, or those that fit into `seconds`, and at least one."""
    began = time.monotonic()
    found: list[NDArray[np.int32]] = []
    for index in range(n_partitions):
        if found and seconds is not None and time.monotonic() - began > seconds:
            break
        found.append(draw(index))
        if on_progress:
            on_progress(index + 1, n_partitions)
    return found
