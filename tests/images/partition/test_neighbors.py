"""Reciprocal neighbors against a search by hand."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from umeta.images.partition.neighbors import reciprocal_neighbors


def slow(points, k):
    cosines = (F.normalize(points, dim=-1) @ F.normalize(points, dim=-1).T).fill_diagonal_(-2)
    near = [row.argsort(descending=True)[:k].tolist() for row in cosines]
    return [[j for j in row if i in near[j]] for i, row in enumerate(near)]


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 30), st.integers(1, 6), st.integers(0, 10**6))
def test_it_is_the_search_by_hand_with_the_image_itself_for_the_rest(n, k, seed):
    points = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))
    k = min(k, n - 1)
    found = reciprocal_neighbors(points, k)
    assert found.shape == (n, k)
    for i, expected in enumerate(slow(points, k)):
        assert found[i].tolist() == expected + [i] * (k - len(expected))


def test_classes_far_apart_are_found_and_copies_are_neighbors():
    centers = torch.eye(4).repeat_interleave(3, 0)
    found = reciprocal_neighbors(centers, 2)
    assert (found // 3 == np.arange(12)[:, None] // 3).all()
    assert (found != np.arange(12)[:, None]).all()


def test_fewer_images_than_neighbors():
    assert reciprocal_neighbors(torch.eye(3), 10).shape == (3, 2)
