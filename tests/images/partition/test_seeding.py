"""First centers: one in every group, far from the origin too, and a better beginning than chance."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from umeta.core.rng import Rng
from umeta.images.partition.seeding import _cells, _squared_distances, first_centers


def groups(n_groups, size, dim, apart, offset=0.0):
    generator = Rng.from_seed(4).torch()
    middles = apart * torch.randn(n_groups, dim, generator=generator) + offset
    return middles.numpy(), (middles.repeat_interleave(size, 0) + torch.randn(n_groups * size, dim, generator=generator)).numpy()


@pytest.mark.parametrize("offset", [0.0, 3e4])
def test_every_group_has_a_center_where_random_points_would_miss_a_third(offset):
    middles, points = groups(40, 25, 8, 100.0, offset)
    for seed in range(5):
        centers = first_centers(points, 40, Rng.from_seed(seed).numpy())
        nearest = ((centers[:, None] - middles) ** 2).sum(-1).argmin(1)
        assert len(set(nearest.tolist())) == 40


def test_a_point_that_is_like_no_other_weighs_little():
    """Twenty points around a crowd of 2000, four of its standard deviations away: without weights a quarter of the centers go there."""
    crowd = 5 * Rng.from_seed(2).numpy().standard_normal((2000, 2))
    lone = 20 * np.stack([np.cos(np.arange(20)), np.sin(np.arange(20))], 1)
    points = np.concatenate([crowd, lone]).astype(np.float32)
    far = [(np.linalg.norm(first_centers(points, 10, Rng.from_seed(seed).numpy()), axis=1) > 16).sum() for seed in range(10)]
    assert np.mean(far) < 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 6), st.integers(0, 10**6))
def test_cells_are_means_of_all_points_and_centers_repeat_themselves(n, k, dim, seed):
    n, k = max(n, k), min(n, k)
    points = Rng.from_seed(seed).numpy().integers(0, 3, (n, dim)).astype(np.float32)  # with copies
    cells, weights = _cells(points, k, Rng.from_seed(seed).numpy())
    assert weights.min() >= 1 and weights.sum() == n
    np.testing.assert_allclose(weights @ cells, points.sum(0), rtol=1e-4, atol=1e-3)
    first, again = (first_centers(points, k, Rng.from_seed(seed).numpy()) for _ in range(2))
    assert first.shape == (k, dim) and np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)


def test_distances_of_all_pairs():
    points = np.array([[0, 0], [3, 4], [6, 8]], np.float32) + np.float32(4097.25)
    np.testing.assert_allclose(_squared_distances(points), [[0, 25, 100], [25, 0, 25], [100, 25, 0]], atol=1e-3)


def test_different_streams_choose_differently():
    _, points = groups(10, 20, 4, 2.0)
    found = {first_centers(points, 10, Rng.from_seed(seed).numpy()).tobytes() for seed in range(4)}
    assert len(found) == 4
