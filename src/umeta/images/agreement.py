"""Knows how far a learner has come without a label: how well two views of an image agree on which images are near it."""

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.rng import Rng
from umeta.images.embed.encoder import Encoder, embed_all, quick
from umeta.images.episode import Augmentation
from umeta.images.partition.neighbors import nearest

AT_ONCE = 512
TIMED = 256


@dataclass(frozen=True)
class Agreement:
    """Embed each image by two views, and return the share of its nearest images that both views name.

    An encoder that sees what an image shows, and not how it was drawn or taken, names the same neighbors by any view. Finding the image
    itself by a view, the usual measure, gets harder where an encoder has learned that several images show one thing; this gets easier.

    Attributes:
        images: uint8, shape [n, c, h, w].
        augment: What makes a view.
        rng: Which views; always the same ones, so that the numbers of a run, and of runs on one pool, compare.
        n_neighbors: How many nearest images are compared.
    """

    images: NDArray[np.uint8]
    augment: Augmentation
    rng: Rng
    n_neighbors: int = 16

    @property
    def chance(self) -> float:
        """What an encoder that knows nothing scores."""
        return min(self.n_neighbors / max(len(self.images) - 1, 1), 1.0)

    def __call__(self, encoder: Encoder) -> float:
        """Return the mean share, from `chance` to 1."""
        first, second = (nearest(self._embedded(encoder, self.rng.fork("view", view)), self.n_neighbors) for view in range(2))
        return float((first[:, :, None] == second[:, None, :]).any(-1).mean())

    def cost_s(self, encoder: Encoder) -> float:
        """Return about how many seconds a call will take, by one on a few of the images."""
        few = replace(self, images=self.images[:TIMED])
        began = time.monotonic()
        few(encoder)
        return (time.monotonic() - began) * len(self.images) / len(few.images)

    def _embedded(self, encoder: Encoder, rng: Rng) -> Tensor:
        batches = iter(range(0, len(self.images), AT_ONCE))

        def view(images: Tensor) -> Tensor:
            return quick(encoder)(self.augment(images, rng.fork("batch", next(batches))))

        return embed_all(view, self.images, batch_size=AT_ONCE)
