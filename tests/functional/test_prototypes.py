"""Prototypes, distances and new splits against numbers by hand and slow loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from umeta.functional.prototypes import prototypes, resplit, squared_distance_logits

SETTINGS = settings(max_examples=25, deadline=None)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_by_hand():
    embedding = torch.tensor([[0.0, 1.0], [2.0, 3.0], [5.0, 5.0], [4.0, -1.0]])
    centers = prototypes(embedding, torch.tensor([0, 0, 1, 0]), 2)
    assert centers.tolist() == [[2.0, 1.0], [5.0, 5.0]]
    assert squared_distance_logits(torch.tensor([[2.0, 5.0]]), centers).tolist() == [[-16.0, -9.0]]


@SETTINGS
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 6), st.integers(1, 6), st.integers(0, 10**6))
def test_batches_of_unequal_classes_match_a_slow_loop(n_task, n_way, n_more, dim, seed):
    draw = generator(seed)
    labels = torch.stack(
        [
            torch.cat([torch.arange(n_way), torch.randint(n_way, (n_more,), generator=draw)])[
                torch.randperm(n_way + n_more, generator=draw)
            ]
            for _ in range(n_task)
        ]
    )
    embedding = torch.randn(n_task, n_way + n_more, dim, generator=draw, dtype=torch.float64)
    queries = torch.randn(n_task, 3, dim, generator=draw, dtype=torch.float64)
    centers = prototypes(embedding, labels, n_way)
    logits = squared_distance_logits(queries, centers)
    for task in range(n_task):
        for way in range(n_way):
            members = [embedding[task, i] for i in range(n_way + n_more) if labels[task, i] == way]
            center = sum(members) / len(members)
            torch.testing.assert_close(centers[task, way], center)
            for query in range(3):
                slow = -sum((queries[task, query, d] - center[d]) ** 2 for d in range(dim))
                torch.testing.assert_close(logits[task, query, way], slow)


def test_a_class_without_examples_is_nan_and_wrong_labels_are_refused():
    centers = prototypes(torch.ones(2, 3), torch.tensor([0, 0]), 2)
    assert centers[1].isnan().all() and centers[0].tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(RuntimeError):
        prototypes(torch.ones(2, 3), torch.tensor([0, 2]), 2)


def test_gradients_agree_with_finite_differences():
    embedding = torch.randn(5, 3, generator=generator(), dtype=torch.float64, requires_grad=True)
    queries = torch.randn(2, 3, generator=generator(1), dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 1, 0, 1])
    assert torch.autograd.gradcheck(lambda e, q: squared_distance_logits(q, prototypes(e, labels, 2)), (embedding, queries))


@SETTINGS
@given(st.integers(1, 3), st.integers(2, 4), st.integers(1, 6), st.integers(1, 5))
def test_resplit_keeps_the_first_split_and_the_images_of_each_class(n_task, n_way, n_image, n_splits):
    embedding = torch.randn(n_task, n_way, n_image, 2, generator=generator(n_task))
    split = resplit(embedding, n_splits, generator(1)).reshape(n_task, n_splits, n_way, n_image, 2)
    assert torch.equal(split[:, 0], embedding)
    for task in range(n_task):
        for index in range(n_splits):
            for way in range(n_way):
                assert sorted(split[task, index, way].tolist()) == sorted(embedding[task, way].tolist())


def test_resplit_draws_classes_and_splits_apart_and_every_image_comes_first_equally_often():
    embedding = torch.arange(4.0).view(1, 1, 4, 1).expand(1, 3, 4, 1)
    split = resplit(embedding, 2001, generator())[1:, :, 0, 0]
    counts = torch.bincount(split.flatten().long(), minlength=4)
    expected = split.numel() / 4
    assert float(((counts - expected) ** 2 / expected).sum()) < 16.3  # chi-square, 3 degrees of freedom, 0.1 %
    assert not torch.equal(split[:, 0], split[:, 1])


def test_resplit_is_pure_and_carries_gradients():
    embedding = torch.randn(2, 3, 4, 5, generator=generator(), requires_grad=True)
    assert torch.equal(resplit(embedding, 3, generator(7)), resplit(embedding, 3, generator(7)))
    resplit(embedding, 3, generator(7)).sum().backward()
    assert torch.equal(embedding.grad, torch.full_like(embedding, 3.0))
    assert resplit(embedding, 1, generator(7)) is embedding
