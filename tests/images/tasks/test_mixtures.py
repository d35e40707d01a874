"""Mixtures: supports stay views, some queries let another image shine through, never more than half."""

import numpy as np
import torch

from umeta.core.rng import Rng
from umeta.images.augment import RandomViews
from umeta.images.episode import Pool
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.images.tasks.mixtures import Mixtures
from umeta.testing import check_task_distribution

STILL = RandomViews(rotation_deg=0, scale=0, shear=0, shift=0)
RNG = Rng.from_seed(3)


def test_it_keeps_the_contract(tiny_pool):
    check_task_distribution(InstanceTasks(tiny_pool, 16, Mixtures(RandomViews(), tiny_pool, 5, 3, 4), 2, 4, k_shot=3))


def test_supports_are_views_and_queries_mixed_in_the_stated_amounts():
    pool = Pool(np.full((4, 1, 4, 4), 255, np.uint8))
    black = torch.zeros(4000, 1, 4, 4)
    mixed = Mixtures(STILL, pool, n_image=4, k_shot=1)(black, RNG).view(1000, 4, 16)
    assert not mixed[:, 0].any()
    amount = mixed[:, 1:].mean(-1)
    assert amount.max() <= 0.499 and amount[amount > 0].min() >= 0.01 - 1e-6
    assert abs(float((amount > 0).float().mean()) - 0.5) < 0.03
    assert abs(float(amount[amount > 0].mean()) - 0.2545) < 0.01


def test_what_shines_through_comes_from_the_whole_pool():
    images = np.zeros((2, 1, 4, 4), np.uint8)
    images[0, 0, 0], images[1, 0, 0] = 250, 100
    seen = Mixtures(STILL, Pool(images), n_image=2, k_shot=1, n_turns=4, share=1.0)(torch.zeros(400, 1, 4, 4), RNG)[1::2, 0]
    edges = torch.stack([seen[:, 0, 1], seen[:, 1, 0], seen[:, 3, 1], seen[:, 1, 3]], 1)
    assert (edges > 0).float().mean(0).min() > 0.1, "in every orientation"
    assert len(seen.amax((1, 2)).unique()) > 100


def test_without_a_share_it_is_the_views(tiny_pool):
    images = torch.rand(10, 1, 28, 28, generator=RNG.torch())
    plain = Mixtures(RandomViews(), tiny_pool, 5, 3, share=0.0)(images, RNG)
    assert torch.equal(plain, RandomViews()(images, RNG.fork("views")))
