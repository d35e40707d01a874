"""Random hyperplanes: cells are sides, margins are kept, and what cannot be cut is refused."""

import itertools

import numpy as np
import pytest
import torch

from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.images.partition.hyperplanes import HyperplanePartitioner

POINTS = torch.randn(600, 6, generator=torch.Generator().manual_seed(2)) * torch.tensor([1.0, 5.0, 0.1, 1, 1, 2]) + 3


def test_partitions_follow_from_the_stream_and_differ(rng):
    first, again = (HyperplanePartitioner(8, 4, n_splits=50).fit(POINTS, rng, min_size=4) for _ in range(2))
    assert len(first) == 4 and all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({labels.tobytes() for labels in first}) == 4
    assert all(labels.dtype == np.int32 and labels.min() == -1 and labels.max() < 8 for labels in first)
    assert all((np.bincount(labels[labels >= 0]) >= 4).sum() >= 8 for labels in first)
    other = HyperplanePartitioner(8, 4, n_splits=50).fit(POINTS, Rng.from_seed(1), min_size=4)
    assert not np.array_equal(first[0], other[0])


def test_units_and_place_of_the_embedding_do_not_matter(rng):
    plain, changed = (HyperplanePartitioner(4, 2, n_splits=30).fit(points, rng, min_size=4) for points in (POINTS, 8 * POINTS - 64))
    assert np.mean([np.mean(a == b) for a, b in zip(plain, changed, strict=True)]) > 0.99


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.8])
def test_cells_lie_a_margin_away_from_a_plane(rng, margin):
    for labels in HyperplanePartitioner(2, 3, margin, n_splits=40).fit(POINTS, rng, min_size=2):
        # One plane cuts two cells of standardized points. In one split's own direction the cells do not overlap, and the gap is 2 m wide.
        points = ((POINTS - POINTS.mean(0)) / POINTS.std(0, unbiased=False)).numpy()
        gaps = []
        for number in range(40):
            generator = rng.fork("splits").fork("split", number).numpy()
            normal = generator.uniform(-1, 1, 6)
            distance = points @ (normal / np.linalg.norm(normal))
            low, high = distance[labels == 0], distance[labels == 1]
            gaps.append((high.min() - low.max()) / distance.std())
        assert max(gaps) >= 2 * margin - 1e-4
        assert (labels == -1).any() == (margin > 0)


def test_a_larger_margin_leaves_more_images_out(rng):
    left = [np.mean(HyperplanePartitioner(4, 1, m, n_splits=60).fit(POINTS, rng, min_size=2)[0] < 0) for m in (0.0, 0.3, 0.6)]
    assert left[0] == 0 and left[1] < left[2] < 0.95


def test_splits_with_too_few_images_on_a_side_are_not_used(rng):
    for labels in HyperplanePartitioner(2, 5, 0.0, n_splits=100, min_side=10).fit(POINTS, rng, min_size=20):
        assert np.bincount(labels, minlength=2).min() >= 150, "a quarter of 600, as 200 on each side are more than that"
    for labels in HyperplanePartitioner(2, 5, 0.0, n_splits=100, min_side=10).fit(POINTS, rng, min_size=12):
        assert np.bincount(labels, minlength=2).min() >= 120


def test_what_cannot_be_cut_is_refused_with_numbers(rng):
    with pytest.raises(InputError, match=r"0 of 1000 random hyperplanes leave 150 of 600 images .* margin of 9, and 8-way tasks need 3"):
        HyperplanePartitioner(8, margin=9.0).fit(POINTS, rng, min_size=16)
    with pytest.raises(InputError, match=r"all \d+ embeddings are the same"):
        HyperplanePartitioner(4).fit(torch.ones(50, 3), rng, min_size=2)
    corners = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2))).repeat(5, 1)
    with pytest.raises(InputError, match="cut 20 images into 0 cells of at least 30 at best, and tasks need 2; use a smaller --margin"):
        HyperplanePartitioner(2, margin=0.0, n_splits=50).fit(corners, rng, min_size=30)
