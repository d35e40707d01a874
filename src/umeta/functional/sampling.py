"""Knows how to draw without replacement for many sets at once."""

import numpy as np
from numpy.typing import NDArray


def choose(sizes: NDArray[np.int64], n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw `n` different positions from each of many sets, in random order, without a Python loop over the sets.

    Args:
        sizes: Shape [*batch]; how many members each set has, each at least `n`.
        n: How many to draw from each.
        generator: The only source of randomness; its state moves.

    Returns:
        Shape [*batch, n]: positions in `[0, size)`, all different along the last axis, every ordered choice equally likely.

    Raises:
        ValueError: A set has fewer than `n` members.

    Source:
        Floyd's algorithm (Bentley and Floyd 1987, "Programming pearls: a sample of brilliance"), run for all sets in step, then a random
        order, since Floyd's sets are uniform but their order is not.
    """
    if sizes.size and int(sizes.min()) < n:
        raise ValueError(f"cannot draw {n} different members from a set of {int(sizes.min())}")
    # Positions come first while drawing, so that every comparison runs along the sets, which are many, and not along the few positions.
    draws = np.moveaxis(generator.random((*sizes.shape, n)), -1, 0)
    chosen = np.empty((n, *sizes.shape), np.int64)
    for position in range(n):
        last = sizes - n + position
        candidate = (draws[position] * (last + 1)).astype(np.int64)
        taken = (chosen[:position] == candidate).any(0)
        chosen[position] = np.where(taken, last, candidate)
    order = np.argsort(generator.random((*sizes.shape, n)), axis=-1)
    return np.take_along_axis(np.moveaxis(chosen, 0, -1), order, -1)
