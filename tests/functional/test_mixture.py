"""Expectation and maximization by hand, against a slow loop, and in its limits."""

import math

import pytest
import torch
from torch.nn import functional as F

from umeta.functional.mixture import mixture_centers
from umeta.functional.prototypes import Metric


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_one_iteration_by_hand():
    support, queries = torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0]])
    centers = mixture_centers(support, torch.eye(2), queries, Metric("euclidean", 8.0), 1)
    near = 1 / (1 + math.exp(-1))  # squared distances 1 and 9 over 8
    assert centers.flatten().tolist() == pytest.approx([near / (1 + near), (4 + (1 - near)) / (2 - near)])


@pytest.mark.parametrize("metric", [Metric("euclidean", 3.0), Metric("cosine", 0.2)])
def test_many_tasks_are_a_slow_loop_over_each(metric):
    support, queries = draw(3, 4, 5), draw(3, 6, 5, seed=1)
    member = F.one_hot(torch.tensor([0, 0, 1, 2]), 3).double().expand(3, -1, -1)
    together = mixture_centers(support, member, queries, metric, 4)
    for task in range(3):
        s, q = support[task], queries[task]
        if metric.kind == "cosine":
            s, q = s / s.norm(dim=1, keepdim=True), q / q.norm(dim=1, keepdim=True)
        groups = [s[:2], s[2:3], s[3:]]
        centers = [group.mean(0) for group in groups]
        for _ in range(4):
            if metric.kind == "cosine":
                centers = [center / center.norm() for center in centers]
                scores = torch.stack([torch.stack([x @ c for c in centers]) for x in q]) / metric.temperature
            else:
                scores = torch.stack([torch.stack([-((x - c) ** 2).sum() for c in centers]) for x in q]) / metric.temperature
            share = scores.exp() / scores.exp().sum(1, keepdim=True)
            centers = [(group.sum(0) + (share[:, k, None] * q).sum(0)) / (len(group) + share[:, k].sum()) for k, group in enumerate(groups)]
        if metric.kind == "cosine":
            centers = [center / center.norm() for center in centers]
        torch.testing.assert_close(together[task], torch.stack(centers))


def test_without_iterations_or_queries_it_is_prototypes():
    support, member, metric = draw(4, 3), F.one_hot(torch.tensor([0, 1, 1, 0]), 2).double(), Metric("cosine", 0.1)
    wanted = metric.centers(support, torch.tensor([0, 1, 1, 0]), 2)
    torch.testing.assert_close(mixture_centers(support, member, draw(5, 3, seed=1), metric, 0), wanted)
    torch.testing.assert_close(mixture_centers(support, member, draw(0, 3), metric, 3), wanted)


def test_queries_pull_a_class_to_the_middle_of_its_own():
    support = torch.tensor([[0.0, 1.5], [6.0, 0.0]])
    queries = torch.tensor([[0.0, -0.5], [0.1, -0.4], [6.0, 0.1]])
    centers = mixture_centers(support, torch.eye(2), queries, Metric("euclidean", 1.0), 10)
    torch.testing.assert_close(centers, torch.tensor([[0.1 / 3, 0.2], [6.0, 0.05]]), atol=1e-4, rtol=0)
