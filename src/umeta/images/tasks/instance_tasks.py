"""Knows how every image becomes a class of its own, whose examples are views of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umeta.core.rng import Rng
from umeta.functional.sampling import choose
from umeta.images.episode import Augmentation, Episode, Episodes, Pool


@dataclass(frozen=True)
class InstanceTasks:
    """Draw images as classes, without replacement; their support and queries are random views of them.

    Attributes:
        pool: The images.
        n_way: Classes per task.
        augment: What makes a view.
        n_query: Query views per class.
        n_turns: 4 makes each quarter turn of an image a class of its own, where things have an upright position; 1 does not.
        partners: Images that may stand in for an image in its query views, shape [n, k], the image's own index where there are fewer; None
            is the image alone.
        k_shot: Support views per class.
        clean_support: Whether the support shows the image itself instead of views.
        n_each: Images of a class, drawn at random: above 1 a class is a label that says nothing, and support and queries go through its
            images in turn.

    Raises:
        ValueError: Tasks have more classes than there are.

    Source:
        Instance discrimination as few-shot tasks: Medina et al. 2020 (arXiv:2006.11325), section 3.1, there with a clean
        support. Several images under a random label: Antoniou and Storkey 2019 (arXiv:1902.09884), section 3. Quarter turns as classes:
        Santoro et al. 2016 (arXiv:1605.06065), there of labeled classes.
    """

    pool: Pool
    n_way: int
    augment: Augmentation
    n_query: int = 1
    n_turns: int = 1
    partners: NDArray[np.int64] | None = None
    k_shot: int = 1
    clean_support: bool = False
    n_each: int = 1

    def __post_init__(self) -> None:
        if self.n_way * self.n_each > self.n_turns * len(self.pool.images):
            images = "as many images" if self.n_each == 1 else f"{self.n_way * self.n_each} images"
            raise ValueError(f"{self.n_way}-way tasks need {images}, and there are {len(self.pool.images)}")

    def sample_index(self, rng: Rng, n_tasks: int) -> NDArray[np.int64]:
        """Return indices into the pool, shape [n_tasks, n_way, k_shot + n_query]."""
        generator, n = rng.numpy(), len(self.pool.images)
        classes = choose(np.full(n_tasks, n * self.n_turns), self.n_way * self.n_each, generator)
        in_turn = np.concatenate([np.arange(self.k_shot), np.arange(self.n_query)]) % self.n_each
        indices = classes.reshape(n_tasks, self.n_way, self.n_each)[..., in_turn]
        if self.partners is not None:
            turn, image = np.divmod(indices[..., self.k_shot :], n)
            pick = generator.integers(self.partners.shape[1], size=image.shape)
            partner = self.partners[image, pick] + turn * n
            # A partner that stands in for two classes, or is a class itself, would be right and wrong at once.
            shown = np.concatenate([classes, partner.reshape(n_tasks, -1)], axis=1)
            clear = np.stack([np.isin(own, once[count == 1]) for own, (once, count) in zip(partner, map(_counted, shown), strict=True)])
            indices[..., self.k_shot :] = np.where(clear, partner, indices[..., self.k_shot :])
        return indices

    def sample_batch(self, rng: Rng, n_tasks: int) -> Episodes:
        """Return a batch of tasks; a pure function of `rng`."""
        indices = self.sample_index(rng, n_tasks)
        return Episodes(self.pool, indices, self.k_shot, self.augment, rng.fork("augment"), self.clean_support)

    def sample(self, rng: Rng) -> Episode:
        """Return one task."""
        return self.sample_batch(rng, 1)[0]


def _counted(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.unique(values, return_counts=True)
