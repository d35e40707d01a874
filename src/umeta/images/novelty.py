"""Knows when an image is like none of the examples, and which images differ most from those that have a label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from umeta.core.rng import Rng
from umeta.images.embed.encoder import Encoder, embed_all

N_COMPARED = 600


@dataclass(frozen=True)
class Novelty:
    """How alike images are that have nothing to do with one another, as a pool without labels tells.

    Attributes:
        cosines: Of pairs of images drawn at random, ascending.
    """

    cosines: NDArray[np.float32]

    @classmethod
    def of(cls, encoder: Encoder, pool: NDArray[np.uint8], rng: Rng) -> "Novelty":
        """Compare some images of a pool [n, c, h, w] with one another; a few seconds."""
        some = np.sort(rng.numpy().permutation(len(pool))[:N_COMPARED])
        points = F.normalize(embed_all(encoder, pool[some]), dim=-1)
        above = np.triu_indices(len(points), 1)
        return cls(np.sort((points @ points.T).numpy()[above]).astype(np.float32))

    def chance(
        self, queries: Float[Tensor, "n dim"], support: Float[Tensor, "m dim"], labels: Int[Tensor, " m"], n_way: int
    ) -> NDArray[np.float64]:
        """Return how often an image of none of the classes would be as near to one of them as each query is.

        With $F$ the distribution of the cosine of unrelated images, and $s$ a query's cosine to the nearest class mean, that is
        $1 - F(s)^{n}$. It is a p-value: of images that belong to no class, a share of p has a chance above 1 - p.

        Args:
            queries: Embedded images.
            support: Embedded examples.
            labels: In `[0, n_way)`, every class at least once.
            n_way: Number of classes.
        """
        one_hot = F.one_hot(labels, n_way).float()
        means = F.normalize(one_hot.T @ F.normalize(support, dim=-1), dim=-1)
        nearest = (F.normalize(queries, dim=-1) @ means.T).amax(-1).numpy()
        share_below = np.searchsorted(self.cosines, nearest) / max(len(self.cosines), 1)
        return 1.0 - share_below**n_way


def farthest_first(points: Float[Tensor, "n dim"], known: Float[Tensor, "m dim"], n: int) -> Sequence[int]:
    """Return up to `n` points that cover all: each the one farthest, by cosine, from what is known and from those taken before."""
    points = F.normalize(points, dim=-1)
    start = F.normalize(known, dim=-1) if len(known) else F.normalize(points.mean(0, keepdim=True), dim=-1)
    nearest = (points @ start.T).amax(-1)
    chosen: list[int] = []
    for _ in range(min(n, len(points))):
        index = int(nearest.argmin())
        chosen.append(index)
        nearest = torch.maximum(nearest, points @ points[index])
        nearest[chosen] = torch.inf
    return chosen
