"""Knows what every way to cut an embedding must offer, and how partitions are drawn one after another until time is up."""

import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.hands import Hands, Part, cut, in_turn
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
        by: Hands = in_turn,
    ) -> list[NDArray[np.int32]]:
        """Return one array of pseudo-labels per partition; negative means in no cell.

        Args:
            embedding: One vector per image.
            rng: Partition `p` uses `rng.fork("partition", p)`.
            min_size: Images that a cell needs to be usable.
            seconds: Stop early, after at least one partition, once so much time is spent; None finishes all.
            on_progress: Called with partitions done and wanted.
            by: Who draws them, where that takes long; the labels are the same.

        Raises:
            InputError: The images cannot be cut so; the message has the numbers that are in the way.
        """
        ...


def repeated(
    draw: Callable[[int], NDArray[np.int32]],
    n_partitions: int,
    seconds: float | None = None,
    on_progress: Progress | None = None,
    by: Hands = in_turn,
) -> list[NDArray[np.int32]]:
    """Draw partitions 0, 1, ... as `Partitioner.fit` promises: all, or those that fit into `seconds`, and at least one."""
    began = time.monotonic()
    found: list[NDArray[np.int32]] = []

    with closing(by(partial(_drawn, draw), cut(n_partitions, 1))) as drawn:
        for labels in drawn:
            found.append(labels)
            if on_progress:
                on_progress(len(found), n_partitions)
            if seconds is not None and time.monotonic() - began > seconds:
                break
    return found


def _drawn(draw: Callable[[int], NDArray[np.int32]], part: Part) -> NDArray[np.int32]:
    return draw(part[0])
