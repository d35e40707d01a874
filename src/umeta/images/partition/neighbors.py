"""Knows which images of an embedding are each other's nearest neighbors."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def reciprocal_neighbors(embedding: Float[Tensor, "n dim"], k: int) -> NDArray[np.int64]:
    """Return for each image those of its `k` nearest by cosine that have it among their `k` nearest too.

    A neighbor that is one-sided is often an image in a crowd, near to all and like none; two-sided ones are mostly of one kind.

    Args:
        embedding: One vector per image; only directions count.
        k: How many nearest ones to look at; fewer where there are no more images.

    Returns:
        Shape [n, k]: neighbors, nearest first; the rest of a row is the image's own index.

    Source:
        Qin et al. 2011, "Hello neighbor" (CVPR), k-reciprocal neighbors; as positives: LF2CS and UFLST find classes so.
    """
    import faiss

    points = np.ascontiguousarray(F.normalize(embedding, dim=-1).numpy(), dtype=np.float32)
    n = len(points)
    k = min(k, n - 1)
    index = faiss.IndexFlatIP(points.shape[1])
    index.add(points)
    _, found = index.search(points, k + 1)
    own = np.arange(n)[:, None]
    # A vector may have exact copies, and then it need not come first itself.
    not_own = np.argsort(found == own, axis=1, kind="stable")[:, :k]
    near = np.take_along_axis(found, not_own, 1).astype(np.int64)
    mutual = (near[near] == own[..., None]).any(-1)
    first = np.argsort(~mutual, axis=1, kind="stable")
    result: NDArray[np.int64] = np.take_along_axis(np.where(mutual, near, own), first, 1)
    return result
