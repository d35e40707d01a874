"""Contrastive losses by hand, against slow loops and finite differences, and in their limits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from umeta.functional.contrastive import nt_xent, queue_contrast, shot_contrast


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(2, 4), st.integers(2, 6), st.sampled_from([0.03, 0.1, 1.0]), st.integers(0, 10**6))
def test_it_is_the_formula_in_a_slow_loop(n_class, n_view, dim, temperature, seed):
    embedding = draw(n_class, n_view, dim, seed=seed)
    views = [(c, embedding[c, v] / embedding[c, v].norm()) for c in range(n_class) for v in range(n_view)]
    slow, hits = 0.0, 0
    for i, (own, x) in enumerate(views):
        scores = {j: float(x @ y) / temperature for j, (_, y) in enumerate(views) if j != i}
        total = math.log(sum(math.exp(score - max(scores.values())) for score in scores.values())) + max(scores.values())
        same = [j for j in scores if views[j][0] == own]
        slow -= sum(scores[j] - total for j in same) / len(same)
        hits += views[max(scores, key=scores.get)][0] == own
    loss, right = nt_xent(embedding, temperature)
    assert loss.item() == pytest.approx(slow / len(views), rel=1e-9, abs=1e-12)
    assert right.item() == pytest.approx(hits / len(views))


def test_gradients_agree_with_finite_differences():
    embedding = draw(3, 2, 4).requires_grad_()
    torch.autograd.gradcheck(lambda x: nt_xent(x, 0.5)[0], embedding)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100.0), st.integers(0, 10**6))
def test_only_directions_count(length, seed):
    embedding = draw(4, 2, 3, seed=seed)
    torch.testing.assert_close(nt_xent(embedding * length, 0.1)[0], nt_xent(embedding, 0.1)[0])


def test_views_that_tell_nothing_cost_the_logarithm_of_the_others():
    loss, _ = nt_xent(torch.ones(8, 2, 3), 0.03)
    assert loss.item() == pytest.approx(math.log(15), rel=1e-5)


def test_contrast_with_a_queue_by_hand():
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    keys = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    queue = torch.tensor([[0.8, 0.6], [-1.0, 0.0]])
    loss, right = queue_contrast(queries, keys, queue, 0.5)
    first = math.log(sum(math.exp(s / 0.5) for s in (0.6, 0.8, -1.0))) - 0.6 / 0.5
    second = math.log(sum(math.exp(s / 0.5) for s in (1.0, 0.6, 0.0))) - 1.0 / 0.5
    assert loss.item() == pytest.approx((first + second) / 2)
    assert right.item() == 0.5, "the first query is nearer to the queue than to its key"


def test_contrast_with_shots_is_the_formula_in_a_slow_loop():
    queries, shots = draw(3, 4), draw(3, 2, 4, seed=1)
    losses = []
    for own, query in enumerate(queries):
        scores = [[float(query @ shot) / 0.7 for shot in task] for task in shots]
        total = math.log(sum(math.exp(score) for task in scores for score in task))
        losses.append(-sum(score - total for score in scores[own]) / 2)
    assert shot_contrast(queries, shots, 0.7).item() == pytest.approx(sum(losses) / 3)
