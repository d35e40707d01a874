"""Knows how random hyperplanes cut an embedding: cells are the sides on which images lie, and a margin keeps cells apart."""

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
class HyperplanePartitioner:
    r"""Cut an embedding by `ceil(log2(n_way))` random hyperplanes at a time; images too near to one of them are in no cell.

    A split is a plane through a point $p \sim U(-0.8, 0.8)^d$ with a normal $a \sim U(-1, 1)^d$ of length 1; image $z$ lies on its one side
    if $a^\top (z - p) \le -m$, on its other if $a^\top (z - p) \ge m$. A pool of splits is drawn once, and of it only those are kept that
    leave images enough on both sides.

    Attributes:
        n_way: Classes that a task needs.
        n_partitions: How many.
        margin: $m$, in standard deviations of the images' distances from the plane.
        n_splits: Splits in the pool.
        min_side: A side holds at least `min_side * min_size` images, but no more than a quarter of all is asked for.
        max_tries: A partition with fewer than `n_way` usable cells is drawn anew, at most so often; the best is kept.

    Source:
        Hsu et al. 2019 (arXiv:1810.02334), appendix, and the authors' code, with a margin of 1.2 in the units of their embeddings.
        Departures: dimensions are centered and scaled to standard deviation 1 first, and the margin counts in standard deviations,
        so that one margin suits any embedding; points are drawn in the same way whatever the embedding (theirs: 0 for DeepCluster's);
        100 partitions where theirs are 2400; the cap of a quarter, for small pools; a bound on the tries.
    """

    n_way: int = 20
    n_partitions: int = 100
    margin: float = 0.3
    n_splits: int = 1000
    min_side: int = 10
    max_tries: int = 100

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
        """Return pseudo-labels in `[0, 2 ** ceil(log2(n_way)))`, -1 within a margin. See `Partitioner.fit`.

        Raises:
            InputError: All embeddings alike, too few splits with images on both sides, or not two usable cells.
        """
        points = embedding.numpy().astype(np.float32)
        spread = points.std(0) if len(points) else np.zeros(1)
        if not spread.any():
            raise InputError(
                f"all {len(points)} embeddings are the same: no plane has images on both sides; "
                "give different images, or another --embedding"
            )
        points = (points - points.mean(0)) / np.where(spread > 0, spread, 1)
        n_cuts = max(int(np.ceil(np.log2(self.n_way))), 1)
        least = min(self.min_side * min_size, len(points) // 4)
        sides = self._splits(points, rng.fork("splits"), least)
        if len(sides) < n_cuts:
            raise InputError(
                f"{len(sides)} of {self.n_splits} random hyperplanes leave {least} of {len(points)} images on either side of a margin of "
                f"{self.margin:g}, and {self.n_way}-way tasks need {n_cuts}; use a smaller --margin or more images"
            )

        def draw(index: int) -> NDArray[np.int32]:
            return self._partition(sides, n_cuts, rng.fork("partition", index), min_size)

        return repeated(draw, self.n_partitions, seconds, on_progress)

    def _splits(self, points: NDArray[np.float32], rng: Rng, least: int) -> NDArray[np.int8]:
        """Return the side of every image for each split that is kept, shape [n_kept, n]: -1, 1, or 0 within the margin."""
        kept = []
        for number in range(self.n_splits):
            generator = rng.fork("split", number).numpy()
            drawn, through = generator.uniform(-1, 1, points.shape[1:]), generator.uniform(-0.8, 0.8, points.shape[1:])
            normal: NDArray[np.float32] = (drawn / np.linalg.norm(drawn)).astype(np.float32)
            distance: NDArray[np.float32] = points @ normal
            spread = distance.std()
            distance = distance - np.float32(through @ normal)
            side = (distance >= self.margin * spread).astype(np.int8) - (distance <= -self.margin * spread)
            if min((side > 0).sum(), (side < 0).sum()) >= max(least, 1):
                kept.append(side)
        return np.array(kept, np.int8)

    def _partition(self, sides: NDArray[np.int8], n_cuts: int, rng: Rng, min_size: int) -> NDArray[np.int32]:
        best, most = np.empty(0, np.int32), -1
        for attempt in range(self.max_tries):
            chosen = sides[rng.fork("attempt", attempt).numpy().choice(len(sides), n_cuts, replace=False)]
            cell = (chosen > 0).T @ (1 << np.arange(n_cuts, dtype=np.int32))
            labels = np.where((chosen != 0).all(0), cell, -1).astype(np.int32)
            usable = int((np.bincount(labels[labels >= 0], minlength=1 << n_cuts) >= min_size).sum())
            if usable > most:
                best, most = labels, usable
            if usable >= self.n_way:
                break
        if most < 2:
            raise InputError(
                f"{n_cuts} hyperplanes with a margin of {self.margin:g} cut {sides.shape[1]} images into {most} cells of at least "
                f"{min_size} at best, and tasks need 2; use a smaller --margin, or more images"
            )
        return best
