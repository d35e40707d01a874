"""Agreement of views: bounds, chance, and that an encoder that sees more agrees more."""

import numpy as np
import pytest
import torch

from umeta.core.rng import Rng
from umeta.images.agreement import Agreement
from umeta.images.augment import RandomViews

RNG = Rng.from_seed(5)


def shifted(images, rng):
    """Move half of the images one pixel to the right."""
    moved = torch.rand(len(images), generator=rng.torch()) < 0.5
    return torch.where(moved.view(-1, 1, 1, 1), images.roll(1, -1), images)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (700, 1, 8, 8), np.uint8)


def test_what_no_view_changes_agrees_wholly_and_what_views_change_agrees_less(images):
    agreement = Agreement(images, shifted, RNG)
    blind_to_place = agreement(lambda x: torch.fft.rfft(x, dim=-1).abs().flatten(1))
    assert blind_to_place > 0.98
    assert agreement.chance < agreement(lambda x: x.flatten(1)) < 0.6


def test_an_encoder_that_sees_nothing_agrees_by_chance(images):
    noise = iter(range(100))
    agreement = Agreement(images, shifted, RNG)

    def blind(x):
        return torch.randn(len(x), 6, generator=torch.Generator().manual_seed(next(noise)))

    assert agreement(blind) == pytest.approx(agreement.chance, abs=0.01)
    assert agreement.chance == 16 / 699


def test_it_is_the_share_counted_by_hand_and_always_the_same(images):
    few, k = images[:40], 3
    agreement = Agreement(few, RandomViews(), RNG, n_neighbors=k)
    views = [RandomViews()(torch.from_numpy(few).float() / 255, RNG.fork("view", v).fork("batch", 0)).flatten(1) for v in range(2)]
    near = []
    for view in views:
        unit = torch.nn.functional.normalize(view, dim=-1)
        near.append([set(row.argsort(descending=True)[:k].tolist()) for row in (unit @ unit.T).fill_diagonal_(-2)])
    wanted = np.mean([len(a & b) / k for a, b in zip(*near, strict=True)])
    assert agreement(lambda x: x.flatten(1)) == pytest.approx(wanted) == agreement(lambda x: x.flatten(1))


def test_its_cost_is_told_by_a_few_of_the_images(images, monkeypatch):
    seen = []

    def counted(batch):
        seen.append(len(batch))
        return batch.flatten(1)

    clock = iter([10.0, 12.0])
    monkeypatch.setattr("umeta.images.agreement.time.monotonic", lambda: next(clock))
    assert Agreement(images, shifted, RNG).cost_s(counted) == 2.0 * 700 / 256
    assert sum(seen) == 2 * 256
