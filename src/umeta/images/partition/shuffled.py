"""Knows the partition that says nothing: every image under a label drawn at random."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.errors import InputError
from umeta.core.hands import Hands, in_turn
from umeta.core.rng import Rng
from umeta.images.partition.partitioner import Progress, repeated


@dataclass(frozen=True)
class RandomPartitioner:
    """Give every image one of `k` labels, uniformly, several times: what tasks are worth that carry no information about the images.

    Attributes:
        k: Labels per partition; of several numbers each partition takes the next, and begins again with the first.
        n_partitions: How many.

    Source:
        Hsu et al. 2019 (arXiv:1810.02334), the "random" rows.
    """

    k: int | tuple[int, ...] = 500
    n_partitions: int = 100

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
        """Return pseudo-labels; of the embedding only the number of rows counts. See `Partitioner.fit`."""
        n, sizes = len(embedding), (self.k,) if isinstance(self.k, int) else self.k
        if n < max(sizes):
            raise InputError(f"{max(sizes)} clusters need at least {max(sizes)} images, there are {n}; use fewer clusters")

        def draw(index: int) -> NDArray[np.int32]:
            return rng.fork("partition", index).numpy().integers(sizes[index % len(sizes)], size=n, dtype=np.int32)

        return repeated(draw, self.n_partitions, seconds, on_progress)
