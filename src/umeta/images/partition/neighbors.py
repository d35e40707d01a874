"""Knows which images of an embedding are of one kind by the company they keep: neighbors that share their neighbors."""

import numpy as np
from jaxtyping import Float, Float32, Int32, Int64
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, vstack
from torch import Tensor
from torch.nn import functional as F

EXACT_UP_TO = 50_000
POINTS_PER_CELL = 1000
CELLS_LOOKED_INTO = 8
CELL_ITERATIONS, SEEN_PER_CELL = 6, 64
ROWS_AT_ONCE = 20_000


def nearest(embedding: Float[Tensor, "n dim"], k: int) -> NDArray[np.int64]:
    """Return the `k` nearest other images of each by cosine, nearest first, shape [n, k]; fewer columns where there are no more images.

    Above `EXACT_UP_TO` images each is compared only with those in the cells of a coarse clustering that are nearest to it. Cells have the
    same size however many images there are, so time grows as `n` (what it takes to find the cells grows as `n ** 2`, and is a hundredth of
    it for a million images); some neighbors are missed.
    """
    points = np.ascontiguousarray(F.normalize(embedding, dim=-1).numpy(), dtype=np.float32)
    n = len(points)
    k = min(k, n - 1)
    found = _search(points, points, k + 1)[1] if n <= EXACT_UP_TO else _search_cells(points, k + 1)
    # A vector may have exact copies, and then it need not come first itself.
    not_own = np.argsort(found == np.arange(n)[:, None], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, not_own, 1).astype(np.int64)


def _search(
    points: Float32[np.ndarray, "n dim"], queries: Float32[np.ndarray, "m dim"], k: int
) -> tuple[Float32[np.ndarray, "m k"], Int64[np.ndarray, "m k"]]:
    import faiss

    index = faiss.IndexFlatIP(points.shape[1])
    index.add(points)
    cosine, which = index.search(queries, k)
    return cosine, which


def _search_cells(points: Float32[np.ndarray, "n dim"], k: int) -> Int64[np.ndarray, "n k"]:
    """Return the nearest `k` of the points that share a cell, an image's own index where they are fewer."""
    import faiss

    n, dim = points.shape
    cells = faiss.Kmeans(dim, n // POINTS_PER_CELL, niter=CELL_ITERATIONS, spherical=True, max_points_per_centroid=SEEN_PER_CELL)
    cells.train(points)
    looked_into = min(CELLS_LOOKED_INTO, cells.k)
    near = _search(np.asarray(cells.centroids), points, looked_into)[1].astype(np.int32)
    members, visits = _grouped(near[:, 0], cells.k), _grouped(near.ravel(), cells.k)
    cosine = np.full((n, k), -np.inf, np.float32)
    found = np.tile(np.arange(n)[:, None], (1, k))
    for own, visit in zip(members, visits, strict=True):
        if not len(own):
            continue
        comers = visit // looked_into
        there, which = _search(points[own], points[comers], min(k, len(own)))
        both = np.concatenate([cosine[comers], there], 1)
        best = np.argsort(-both, axis=1, kind="stable")[:, :k]
        cosine[comers] = np.take_along_axis(both, best, 1)
        found[comers] = np.take_along_axis(np.concatenate([found[comers], own[which]], 1), best, 1)
    return found


def _grouped(labels: Int32[np.ndarray, " n"], k: int) -> list[NDArray[np.int64]]:
    """Return the places of each of `k` labels, in order."""
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels, minlength=k))[:-1])


def shared_neighbors(near: NDArray[np.int64], least: float = 0.0) -> csr_array:
    r"""Return how alike the neighborhoods of images are, as a sparse symmetric matrix [n, n] with values in `(0, 1]` and no diagonal.

    $R(i)$ holds image $i$ and those of its neighbors that have $i$ among theirs. The entry is $|R(i) \cap R(j)| / |R(i) \cup R(j)|$.
    A one-sided neighbor is often an image in a crowd, near to all and like none; images that share their two-sided neighbors are mostly of
    one kind, and can be so without being neighbors themselves.

    Args:
        near: Nearest other images of each, shape [n, k]; an image's own index stands for none.
        least: Entries below it are left out as soon as they are known, which keeps the memory for many images small.

    Source:
        Zhong et al. 2017 (arXiv:1701.08398), section 3.2, the Jaccard distance of k-reciprocal neighbors. Departures: neither weights by
        distance nor expansion of the sets.
    """
    n, k = near.shape
    sided = csr_array((np.ones(n * k, np.float32), near.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    mutual = csr_array((sided * sided.T + eye_array(n)) > 0, dtype=np.float32)
    size = mutual.sum(1)
    parts = [_alike(mutual, size, first, least) for first in range(0, n, ROWS_AT_ONCE)]
    return csr_array(vstack(parts))


def _alike(mutual: csr_array, size: NDArray[np.float32], first: int, least: float) -> csr_array:
    rows = mutual[first : first + ROWS_AT_ONCE]
    both = (rows @ mutual.T).tocoo()
    row, column = both.coords
    shares = both.data / (size[first + row] + size[column] - both.data)
    kept = (row + first != column) & (shares >= least)
    return csr_array((shares[kept], (row[kept], column[kept])), shape=both.shape)


def partners(alike: csr_array, least: float, n: int) -> NDArray[np.int64]:
    """Return for each image the `n` most alike others, most alike first, shape [n_images, n].

    Args:
        alike: What `shared_neighbors` returns.
        least: Those less alike are left out.
        n: Columns. An image with fewer partners has them again from the first on; one with none has its own index.
    """
    rows, columns, values = (part[alike.data >= least] for part in (alike.tocoo().row, alike.indices, alike.data))
    order = np.lexsort((columns, -values, rows))
    counts = np.bincount(rows, minlength=alike.shape[0])
    kept = np.minimum(counts, n)
    place = (np.cumsum(counts) - counts)[:, None] + np.arange(n) % np.maximum(kept, 1)[:, None]
    found: NDArray[np.int64] = np.append(columns[order], 0)[np.minimum(place, len(columns))].astype(np.int64)
    return np.where(kept[:, None] > 0, found, np.arange(len(counts))[:, None])
