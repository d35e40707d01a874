"""Knows which images of an embedding are of one kind by the company they keep: neighbors that share their neighbors."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array
from torch import Tensor
from torch.nn import functional as F


def nearest(embedding: Float[Tensor, "n dim"], k: int) -> NDArray[np.int64]:
    """Return the `k` nearest other images of each by cosine, nearest first, shape [n, k]; fewer columns where there are no more images."""
    import faiss

    points = np.ascontiguousarray(F.normalize(embedding, dim=-1).numpy(), dtype=np.float32)
    k = min(k, len(points) - 1)
    index = faiss.IndexFlatIP(points.shape[1])
    index.add(points)
    _, found = index.search(points, k + 1)
    # A vector may have exact copies, and then it need not come first itself.
    not_own = np.argsort(found == np.arange(len(points))[:, None], axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found, not_own, 1).astype(np.int64)


def shared_neighbors(near: NDArray[np.int64]) -> csr_array:
    r"""Return how alike the neighborhoods of images are, as a sparse symmetric matrix [n, n] with values in `(0, 1]` and no diagonal.

    $R(i)$ holds image $i$ and those of its neighbors that have $i$ among theirs. The entry is $|R(i) \cap R(j)| / |R(i) \cup R(j)|$.
    A one-sided neighbor is often an image in a crowd, near to all and like none; images that share their two-sided neighbors are mostly of
    one kind, and can be so without being neighbors themselves.

    Args:
        near: Nearest other images of each, shape [n, k].

    Source:
        Zhong et al. 2017 (arXiv:1701.08398), section 3.2, the Jaccard distance of k-reciprocal neighbors. Departures: neither weights by
        distance nor expansion of the sets.
    """
    n, k = near.shape
    sided = csr_array((np.ones(n * k, np.float32), near.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    mutual = csr_array(sided * sided.T + eye_array(n, dtype=np.float32))
    both = (mutual @ mutual.T).tocoo()
    size = mutual.sum(1)
    either = size[both.row] + size[both.col] - both.data
    apart = both.row != both.col
    return csr_array((both.data[apart] / either[apart], (both.row[apart], both.col[apart])), shape=(n, n))


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
