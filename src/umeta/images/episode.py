"""Knows what a task of images is, and that a batch of tasks is one index array into a pool."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.rng import Rng
from umeta.images.embed.encoder import Encoder, embed_all, to_float

Augmentation = Callable[[Tensor, Rng], Tensor]


@dataclass(frozen=True)
class Examples:
    """Images, each with its class inside one task.

    Attributes:
        images: Values in `[0, 1]`, shape [n, c, h, w].
        labels: Shape [n], in `[0, n_way)`.
        n_way: Number of classes.
    """

    images: Tensor
    labels: Tensor
    n_way: int


@dataclass(frozen=True)
class Episode:
    """One few-shot classification task."""

    support: Examples
    query: Examples


@dataclass(frozen=True)
class Pool:
    """Images that tasks point into; their embeddings by frozen encoders are computed once and kept.

    Index `i + q * n` is image `i` turned by `q` quarter turns, so a pool of square images holds each in four orientations.

    Attributes:
        images: uint8, shape [n, c, h, w]; may be memory-mapped.
        device: Where gathered images go.
    """

    images: NDArray[np.uint8]
    device: torch.device | str = "cpu"
    _embeddings: dict[int, tuple[Encoder, Tensor]] = field(default_factory=dict, repr=False)

    def gather(self, index: NDArray[np.int64]) -> Float[Tensor, "*shape c h w"]:
        """Return images at any shape of indices as one tensor with values in `[0, 1]`."""
        turns, places = np.divmod(index.ravel(), len(self.images))
        picked = torch.from_numpy(self.images[places])
        for quarter in np.unique(turns[turns > 0]):
            turned = torch.from_numpy(turns == quarter)
            picked[turned] = picked[turned].rot90(int(quarter), (-2, -1))
        return to_float(picked.to(self.device)).reshape(*index.shape, *picked.shape[1:])

    def keep(self, encoder: Encoder, vectors: Float[Tensor, "n dim"]) -> None:
        """Take the embedding of the whole pool by an encoder for known."""
        self._embeddings[id(encoder)] = (encoder, vectors)

    def embedded(self, encoder: Encoder) -> Float[Tensor, "n dim"]:
        """Return the embedding of the whole pool, computed on the first call for each encoder."""
        if id(encoder) not in self._embeddings:
            self.keep(encoder, embed_all(encoder, self.images, device=self.device))
        return self._embeddings[id(encoder)][1]


@dataclass(frozen=True)
class Episodes(Sequence[Episode]):
    """Many tasks of one shape: class `j` of task `i` has the images `indices[i, j]`, its first `k_shot` as support.

    A slice, or a single task, of augmented episodes draws its changes anew.

    Attributes:
        pool: Where the images are.
        indices: Shape [n_task, n_way, k_shot + n_query].
        k_shot: Support images per class.
        augment: Applied to all gathered images at once, or None.
        rng: What `augment` draws from.
        clean_support: Whether the support stays as it was gathered, and only queries are augmented.
        encoder: A frozen one whose vectors are given, as images of one pixel, in place of images; None gives images.
        whole: The indices of the batch that this is a portion of, and where it begins there; None if it is whole.
    """

    pool: Pool
    indices: NDArray[np.int64]
    k_shot: int
    augment: Augmentation | None = None
    rng: Rng | None = None
    clean_support: bool = False
    encoder: Encoder | None = None
    whole: tuple[NDArray[np.int64], int] | None = None

    @property
    def n_way(self) -> int:
        """Classes per task."""
        return int(self.indices.shape[1])

    @property
    def n_query(self) -> int:
        """Query images per class."""
        return int(self.indices.shape[2]) - self.k_shot

    def images(self) -> Float[Tensor, "n_task n_way n_image c h w"]:
        """Gather, and where asked augment, the images of all tasks in one operation."""
        if self.encoder is not None:
            return replace(self, encoder=None).embedded(self.encoder)[..., None, None]
        if self.augment is None:
            return self.pool.gather(self.indices)
        assert self.rng is not None
        if self.whole is not None:
            indices, first = self.whole
            return replace(self, indices=indices, whole=None).images()[first : first + len(self)]
        images = self.pool.gather(self.indices)
        n_clean = self.k_shot if self.clean_support else 0
        changed = images[:, :, n_clean:]
        views = self.augment(changed.flatten(0, 2), self.rng).view_as(changed)
        return torch.cat([images[:, :, :n_clean], views], 2) if n_clean else views

    def embedded(self, encoder: Encoder) -> Float[Tensor, "n_task n_way n_image dim"]:
        """Return the embeddings of all images, from the pool's own store where nothing is augmented."""
        if self.augment is None:
            return self.pool.embedded(encoder)[torch.from_numpy(self.indices)]
        return encoder(self.images().flatten(0, 2)).reshape(*self.indices.shape, -1)

    def labels(self, n_each: int) -> Int[Tensor, " n"]:
        """Return the labels of `n_each` images of every class, class after class; the same for every task."""
        return torch.arange(self.n_way).repeat_interleave(n_each)

    def chunk(self, n_tasks: int) -> "list[Episodes]":
        """Cut the batch into batches of at most `n_tasks`."""
        return [self[first : first + n_tasks] for first in range(0, len(self), n_tasks)]

    def portion(self, rank: int, size: int) -> "Episodes":
        """Return the tasks of one of `size` processes, with the changes that they have in the whole batch."""
        n_each = len(self) // size
        return replace(self, indices=self.indices[rank * n_each :][:n_each], whole=(self.indices, rank * n_each))

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, item: int) -> Episode: ...
    @overload
    def __getitem__(self, item: slice) -> "Episodes": ...
    def __getitem__(self, item: int | slice) -> "Episode | Episodes":
        if isinstance(item, slice):
            return replace(self, indices=self.indices[item], whole=None)
        images = replace(self, indices=self.indices[item][None], whole=None).images()[0]
        support, query = images[:, : self.k_shot].flatten(0, 1), images[:, self.k_shot :].flatten(0, 1)
        return Episode(
            Examples(support, self.labels(self.k_shot), self.n_way),
            Examples(query, self.labels(self.n_query), self.n_way),
        )
