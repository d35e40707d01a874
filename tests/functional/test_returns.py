"""Returns and advantages, by hand and against sums written out."""

import pytest
import torch

from umeta.functional.returns import discounted_returns, generalized_advantages, standardized


def test_discounted_returns_by_hand():
    reward = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    assert discounted_returns(reward, 0.5).tolist() == [[1.5, 1.0, 2.0], [0.0, 0.0, 0.0]]
    assert discounted_returns(reward, 1.0)[0].tolist() == [3.0, 2.0, 2.0]


def test_advantages_by_hand():
    reward, value, alive = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 4.0]), torch.ones(2, dtype=torch.bool)
    # Errors of one step: 1 + 0.5 * 4 - 0.5 = 2.5, and 2 - 4 = -2; with trace 0.5 the first is 2.5 + 0.25 * -2.
    assert generalized_advantages(reward, value, alive, discount=0.5, trace=0.5).tolist() == [2.0, -2.0]
    assert generalized_advantages(reward, value, alive, discount=0.5, trace=0.0).tolist() == [2.5, -2.0]


def test_advantages_of_trace_1_are_returns_less_values(rng):
    generator = rng.torch()
    reward, value = torch.randn(3, 4, 7, generator=generator), torch.randn(3, 4, 7, generator=generator)
    alive = torch.arange(7) < torch.randint(1, 8, (3, 4, 1), generator=generator)
    advantages = generalized_advantages(reward, value, alive, discount=0.9, trace=1.0)
    expected = torch.where(alive, discounted_returns(reward * alive, 0.9) - value, 0.0)
    torch.testing.assert_close(advantages, expected)


def test_what_follows_an_end_does_not_count():
    alive = torch.tensor([True, True, False])
    first = generalized_advantages(torch.tensor([1.0, 1.0, 9.0]), torch.tensor([0.0, 0.0, 9.0]), alive, discount=1.0, trace=0.9)
    assert first.tolist() == pytest.approx([1.9, 1.0, 0.0])


def test_standardized_within_each_task_over_the_steps_taken():
    alive = torch.tensor([[[True, True, True, False]], [[True, True, True, True]]])
    out = standardized(torch.tensor([[[1.0, 2.0, 3.0, 50.0]], [[7.0, 7.0, 7.0, 7.0]]]), alive)
    assert out[0, 0].tolist() == pytest.approx([-(1.5**0.5), 0.0, 1.5**0.5, 0.0])
    assert out[1].abs().max() == 0
