"""Knows where k-means begins: at centers that are far apart and stand for many points, found in the time of three iterations."""

import faiss
import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from scipy.sparse import csr_array

CANDIDATES_PER_CENTER, ROUNDS, DRAWS = 3, 3, 16


def first_centers(points: Float32[np.ndarray, "n dim"], k: int, generator: np.random.Generator) -> Float32[np.ndarray, "k dim"]:
    r"""Choose centers from which six iterations of k-means end as low as 25 do from points drawn at random.

    Candidates are drawn in rounds, each in proportion to the squared distance of a point from the nearest candidate so far. They stand for
    the points near to them: the mean of a candidate's cell weighs as much as the cell has points. Those means are few enough to compare
    all with all, and `k` of them are chosen one after the other, each in proportion to weight times squared distance, the best of a few
    draws. The weights keep centers away from images that are like no other.

    Args:
        points: Finite vectors, contiguous, at least `k`.
        k: How many.
        generator: The only source of randomness; its state moves.

    Returns:
        Means of cells; some come more than once where there are fewer than `k` different points.

    Source:
        Bahmani et al. 2012, "Scalable K-Means++" (arXiv:1203.6402), and for the best of a few draws Arthur and Vassilvitskii 2007.
        Departures: the first round draws as many as every other, uniformly; draws within a round are evenly spaced; means of cells in
        place of candidates.
    """
    cells, weights = _cells(points, k, generator)
    apart = _squared_distances(cells)
    place = int(generator.choice(len(cells), p=weights / weights.sum()))
    chosen, left = [place], apart[place]
    for _ in range(1, k):
        reached = np.cumsum(left * weights, dtype=np.float64)
        drawn = np.minimum(np.searchsorted(reached, generator.random(DRAWS) * reached[-1], "right"), len(cells) - 1)
        after = np.minimum(apart[drawn], left)
        best = int((after @ weights).argmin())
        chosen.append(int(drawn[best]))
        left = after[best]
    return np.ascontiguousarray(cells[chosen])


def _cells(
    points: Float32[np.ndarray, "n dim"], k: int, generator: np.random.Generator
) -> tuple[Float32[np.ndarray, "n_cell dim"], Float32[np.ndarray, " n_cell"]]:
    """Return the means of the candidates' cells, and how many points are in each, which is at least one."""
    n, n_each = len(points), CANDIDATES_PER_CENTER * k // ROUNDS
    n_candidates = min(n_each, n)
    apart, cell = _nearest(points, np.sort(generator.choice(n, n_candidates, replace=False)))
    for _ in range(1, ROUNDS):
        reached = np.cumsum(apart, dtype=np.float64)
        drawn = np.searchsorted(reached, (np.arange(n_each) + generator.random(n_each)) * (reached[-1] / n_each), "right")
        fresh = np.unique(np.minimum(drawn, n - 1))
        nearer, which = _nearest(points, fresh)
        closer = nearer < apart
        cell[closer] = n_candidates + which[closer]
        apart = np.minimum(apart, nearer)
        n_candidates += len(fresh)
    sizes = np.bincount(cell, minlength=n_candidates)
    member = csr_array((np.ones(n, np.float32), (cell, np.arange(n))), shape=(n_candidates, n))[sizes > 0]
    weights = sizes[sizes > 0].astype(np.float32)
    return (member @ points) / weights[:, None], weights


def _nearest(
    points: Float32[np.ndarray, "n dim"], candidates: NDArray[np.int64]
) -> tuple[Float32[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return each point's squared distance to the nearest candidate, and that candidate's place."""
    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points[candidates])
    apart, which = index.search(points, 1)
    return np.maximum(apart[:, 0], 0), which[:, 0]


def _squared_distances(points: Float32[np.ndarray, "n dim"]) -> Float32[np.ndarray, "n n"]:
    """Return squared distances of all pairs by one matrix product; the mean is taken out first, so that no digits cancel."""
    points = points - points.mean(0)
    squares = np.einsum("ij,ij->i", points, points)[:, None]
    ones = np.ones_like(squares)
    apart: NDArray[np.float32] = np.hstack([-2 * points, squares, ones]) @ np.hstack([points, ones, squares]).T
    np.fill_diagonal(apart, 0)
    np.maximum(apart, 0, out=apart)
    return apart
