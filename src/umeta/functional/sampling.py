"""Knows how to draw without replacement for many sets at once."""

import numpy as np
from numpy.typing import NDArray


def choose(sizes: NDArray[np.int64], n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw `n` different positions from each of many sets, in random order, without a Python loop over the sets.

    Args:
        sizes: Shape [*batch]; how many members each set has, each at least `n` and below $2^{31}$.
        n: How many to draw from each.
        generator: The only source of randomness; its state moves.

    Returns:
        Shape [*batch, n]: positions in `[0, size)`, all different along the last axis, every ordered choice equally likely, up to the share
        `size` / $2^{32}$ by which a member may be drawn more seldom than another.

    Raises:
        ValueError: A set has fewer than `n` members.

    Source:
        Positions are drawn independently, and of two that coincide one is drawn again until none do. That only ever asks whether positions
        are equal, so renaming the members changes nothing, and each ordered choice must come as often as any other. Sets of fewer than
        `2 n` members, where that would take long, are put into random order instead.
    """
    if sizes.size and int(sizes.min()) < n:
        raise ValueError(f"cannot draw {n} different members from a set of {int(sizes.min())}")
    # Positions come first, so that every comparison runs along the sets, which are many, and not along the few positions.
    bounds = sizes.ravel().astype(np.uint64)
    chosen = _below(bounds, n, generator)
    small = np.flatnonzero(bounds < 2 * n)
    if small.size:
        chosen[:, small] = _shuffled(bounds[small], n, generator)
    again = _repeated(chosen)
    left = np.flatnonzero(np.logical_or.reduce(again))
    several, room, at = chosen.take(left, 1), bounds[left], np.flatnonzero(again.take(left, 1))
    while at.size:
        several.ravel()[at] = _below(room[at % left.size], 1, generator)[0]
        at = np.flatnonzero(_repeated(several))
    chosen[:, left] = several
    return np.ascontiguousarray(chosen.T, np.int64).reshape(*sizes.shape, n)


def _below(bounds: NDArray[np.uint64], n: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """Return `n` numbers in `[0, bound)` for each bound, shape [n, n_bounds], as the high half of a product with 32 random bits."""
    count = n * len(bounds)
    bits = generator.bit_generator.random_raw(count // 2 + 1).view(np.uint32)[:count].reshape(n, len(bounds))
    return (bits * bounds >> 32).astype(np.int32)


def _shuffled(bounds: NDArray[np.uint64], n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the first `n` members of each set in random order, shape [n, n_bounds]."""
    keys = generator.random((int(bounds.max()), len(bounds)))
    keys[np.arange(len(keys))[:, None] >= bounds] = 1
    return np.argsort(keys, axis=0)[:n]


def _repeated(chosen: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return at least one of any two places that hold the same number in the same column."""
    n = len(chosen)
    around = np.concatenate([chosen, chosen[: n // 2]])
    found = np.zeros(chosen.shape, bool)
    for apart in range(1, n // 2 + 1):
        found |= around[apart : apart + n] == chosen
    return found
