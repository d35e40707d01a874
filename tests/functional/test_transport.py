"""Optimal transport by hand, against a slow loop, and in its limits."""

import math

import torch

from umeta.functional.transport import sinkhorn


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_it_is_the_scaling_of_a_slow_loop():
    scores = draw(3, 5)
    slow = [[math.exp(scores[i, j] / 0.1) for j in range(5)] for i in range(3)]
    for _ in range(3):
        columns = [sum(slow[i][j] for i in range(3)) for j in range(5)]
        slow = [[slow[i][j] / columns[j] for j in range(5)] for i in range(3)]
        slow = [[value / sum(row) for value in row] for row in slow]
    torch.testing.assert_close(sinkhorn(scores, epsilon=0.1), torch.tensor(slow, dtype=torch.float64))


def test_rows_sum_to_one_and_columns_to_equal_shares_in_the_end():
    match = sinkhorn(draw(4, 6), epsilon=0.2, n_iterations=200)
    torch.testing.assert_close(match.sum(1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(match.sum(0), torch.full((6,), 4 / 6, dtype=torch.float64))
    assert sinkhorn(draw(4, 6)).sum(1).allclose(torch.ones(4, dtype=torch.float64)), "rows come last"


def test_a_popular_column_serves_one_row_only():
    scores = torch.tensor([[0.9, 0.0, 0.4], [0.8, 0.1, 0.0], [0.9, 0.8, 0.0]])
    assert scores.argmax(1).tolist() == [0, 0, 0]
    assert sorted(sinkhorn(scores, n_iterations=50).argmax(1).tolist()) == [0, 1, 2]


def test_scores_far_apart_stay_finite():
    scores = torch.full((8, 32), -1.0)
    scores[0, 0] = 1.0
    assert sinkhorn(scores).isfinite().all()
