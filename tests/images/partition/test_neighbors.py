"""Nearest and shared neighbors against a search by hand."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from torch.nn import functional as F

from umeta.core.rng import Rng
from umeta.images.partition import neighbors
from umeta.images.partition.neighbors import nearest, partners, shared_neighbors


def near_by_hand(points, k):
    cosines = (F.normalize(points, dim=-1) @ F.normalize(points, dim=-1).T).fill_diagonal_(-2)
    return [row.argsort(descending=True)[:k].tolist() for row in cosines]


def alike_by_hand(near):
    sets = [{i} | {j for j in row if i in near[j]} for i, row in enumerate(near)]
    return [[len(a & b) / len(a | b) if i != j else 0.0 for j, b in enumerate(sets)] for i, a in enumerate(sets)]


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 30), st.integers(1, 6), st.integers(0, 10**6))
def test_both_are_the_search_by_hand(n, k, seed):
    points = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))
    k = min(k, n - 1)
    near = nearest(points, k)
    assert near.tolist() == near_by_hand(points, k)
    np.testing.assert_allclose(shared_neighbors(near).toarray(), alike_by_hand(near.tolist()), rtol=1e-6)


def test_classes_far_apart_are_found_and_copies_are_neighbors():
    near = nearest(torch.eye(4).repeat_interleave(3, 0), 2)
    assert (near // 3 == np.arange(12)[:, None] // 3).all()
    assert (near != np.arange(12)[:, None]).all()
    alike = shared_neighbors(near).toarray()
    assert np.array_equal(alike, np.kron(np.eye(4), np.ones((3, 3))) - np.eye(12))


def test_fewer_images_than_neighbors():
    assert nearest(torch.eye(3), 10).shape == (3, 2)


def test_a_one_sided_neighbor_counts_only_through_what_is_shared():
    """On a line, 0 and 1 have each other, and 2 has 1 without being had."""
    assert shared_neighbors(np.array([[1], [0], [1]])).toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_partners_are_the_most_alike_in_order_again_from_the_first_where_few_and_the_image_itself_where_none():
    alike = csr_array(np.array([[0, 0.3, 0.9, 0.5], [0.3, 0, 0.1, 0], [0.9, 0.1, 0, 0], [0.5, 0, 0, 0]]))
    assert partners(alike, 0.3, 3).tolist() == [[2, 3, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert partners(alike, 0.4, 3).tolist() == [[2, 3, 2], [1, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert partners(alike, 0.3, 2).tolist() == [[2, 3], [0, 0], [0, 0], [0, 0]]
    assert partners(alike, 1.0, 1).tolist() == [[0], [1], [2], [3]]


def test_above_a_size_cells_are_searched_and_most_neighbors_found(monkeypatch):
    generator = Rng.from_seed(0).torch()
    points = torch.randn(100, 8, generator=generator).repeat_interleave(20, 0) + 0.3 * torch.randn(2000, 8, generator=generator)
    exact = nearest(points, 10)
    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 1000)
    monkeypatch.setattr(neighbors, "POINTS_PER_CELL", 40)
    found = nearest(points, 10)
    assert found.shape == exact.shape
    assert not np.array_equal(found, exact)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), exact.tolist(), strict=True)]) > 0.9


def test_cells_that_are_all_looked_into_are_the_exact_search(monkeypatch):
    points = torch.randn(400, 8, generator=Rng.from_seed(1).torch())
    exact = nearest(points, 10)
    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 0)
    monkeypatch.setattr(neighbors, "POINTS_PER_CELL", 400 // neighbors.CELLS_LOOKED_INTO)
    assert np.array_equal(nearest(points, 10), exact)


def test_rows_that_a_cell_could_not_fill_say_nothing(monkeypatch):
    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 0)
    monkeypatch.setattr(neighbors, "POINTS_PER_CELL", 8)
    monkeypatch.setattr(neighbors, "CELLS_LOOKED_INTO", 1)
    near = nearest(torch.eye(2).repeat_interleave(8, 0), 11)
    own = np.arange(16)[:, None]
    assert (near // 8 == own // 8).all()
    assert ((near == own).sum(1) == 4).all()
    alike = shared_neighbors(near).toarray()
    assert np.array_equal(alike, np.kron(np.eye(2), np.ones((8, 8))) - np.eye(16))


def test_in_parts_and_without_what_is_little_alike_it_is_the_same(monkeypatch):
    near = nearest(torch.randn(300, 4, generator=Rng.from_seed(3).torch()), 8)
    whole = shared_neighbors(near)
    monkeypatch.setattr(neighbors, "ROWS_AT_ONCE", 64)
    np.testing.assert_array_equal(shared_neighbors(near).toarray(), whole.toarray())
    some = shared_neighbors(near, 0.3).toarray()
    np.testing.assert_array_equal(some, np.where(whole.toarray() >= np.float32(0.3), whole.toarray(), 0))
    assert 0 < (some > 0).sum() < (whole.toarray() > 0).sum()
