"""Knows how queries become harder than views: an image of another kind shines through some of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.core.rng import Rng
from umeta.images.episode import Augmentation, Pool

LEAST, MOST = 0.01, 0.499


@dataclass(frozen=True)
class Mixtures:
    r"""Make views of the images of tasks, and mix some of the queries with views of images drawn from the pool.

    A mixed query is $\lambda x' + (1 - \lambda) x$ with $\lambda$ uniform in `[0.01, 0.499]`, so that most of it is of its own class. It
    stands for what views cannot show: another thing of the same kind. An augmentation, so tasks of any kind can use it.

    Attributes:
        views: What makes a view.
        pool: Where the images come from that shine through.
        n_image: Images of each class in a task, support and queries.
        k_shot: Support images of each class, which come first and are never mixed.
        n_turns: 4 if quarter turns of an image are classes of their own.
        share: Share of the queries that are mixed; the others are plain views.

    Source:
        Vettoruzzo et al. 2025 (arXiv:2405.16124), equation 2. Departures: only a share of the queries is mixed, each by an amount of its
        own; the images come from the whole pool, not from one per true class as in the authors' code.
    """

    views: Augmentation
    pool: Pool
    n_image: int
    k_shot: int
    n_turns: int = 1
    share: float = 0.5

    def __call__(self, images: Float[Tensor, "n c h w"], rng: Rng) -> Float[Tensor, "n c h w"]:
        """Return views and mixtures; `images` are whole classes of `n_image` each, one after the other."""
        place, draws = torch.arange(len(images)) % self.n_image, torch.rand(2, len(images), generator=rng.fork("share").torch())
        mixed = (place >= self.k_shot) & (draws[0] < self.share)
        views = self.views(images, rng.fork("views"))
        if not mixed.any():
            return views
        others = self.pool.gather(rng.fork("others").numpy().integers(len(self.pool.images) * self.n_turns, size=int(mixed.sum())))
        amount = (LEAST + (MOST - LEAST) * draws[1][mixed]).view(-1, 1, 1, 1).to(images.device)
        mixed = mixed.to(images.device)
        views[mixed] = views[mixed].lerp(self.views(others, rng.fork("other views")), amount)
        return views
