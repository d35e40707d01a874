"""The largest step within a divergence: against exact solves, closed forms, and by hand."""

import pytest
import torch

from umeta.functional.trust_region import backtracked, conjugate_gradient, trust_region_step


def matrix(rng, n):
    root = torch.randn(n, n, generator=rng.torch(), dtype=torch.float64)
    return root @ root.T + 0.1 * torch.eye(n, dtype=torch.float64)


def test_conjugate_gradients_solve_exactly_after_as_many_steps_as_numbers(rng):
    bent, wanted = matrix(rng, 6), torch.randn(6, generator=rng.fork("b").torch(), dtype=torch.float64)
    exact = torch.linalg.solve(bent, wanted)
    torch.testing.assert_close(conjugate_gradient(lambda v: bent @ v, wanted, n_steps=6), exact)
    rough = conjugate_gradient(lambda v: bent @ v, wanted, n_steps=3)
    # Of all vectors of the first three products' span, it is the one that is nearest in the matrix's own norm.
    span = torch.stack([wanted, bent @ wanted, bent @ bent @ wanted], 1)
    nearest = span @ torch.linalg.solve(span.T @ bent @ span, span.T @ bent @ exact)
    torch.testing.assert_close(rough, nearest)


def test_conjugate_gradients_stop_where_nothing_is_left():
    asked = []

    def product(vector):
        asked.append(1)
        return 2 * vector

    torch.testing.assert_close(conjugate_gradient(product, torch.tensor([2.0, 4.0])), torch.tensor([1.0, 2.0]))
    assert len(asked) == 1
    assert conjugate_gradient(product, torch.zeros(2)).tolist() == [0, 0] and len(asked) == 1


def test_a_step_is_the_natural_gradient_as_long_as_the_divergence_allows(rng):
    fisher, gradient = matrix(rng, 4), torch.randn(4, generator=rng.fork("g").torch(), dtype=torch.float64)
    step = trust_region_step(gradient, lambda v: fisher @ v, max_kl=0.02, n_steps=4, damping=0.0)
    assert (0.5 * step @ fisher @ step).item() == pytest.approx(0.02)
    natural = torch.linalg.solve(fisher, gradient)
    torch.testing.assert_close(step / step.norm(), natural / natural.norm())
    torch.testing.assert_close(step, natural * (2 * 0.02 / (gradient @ natural)).sqrt())
    damped = trust_region_step(gradient, lambda v: fisher @ v, max_kl=0.02, n_steps=4, damping=3.0)
    torch.testing.assert_close(damped / damped.norm(), (raised := torch.linalg.solve(fisher + 3 * torch.eye(4), gradient)) / raised.norm())
    assert trust_region_step(torch.zeros(4), lambda v: v, max_kl=0.02).tolist() == [0] * 4


def test_the_step_of_a_gaussian_by_its_closed_form():
    # The mean of a Gaussian of spread s: Fisher information 1 / s^2 and divergence d^2 / (2 s^2), so d = s sqrt(2 max_kl).
    step = trust_region_step(torch.tensor([5.0]), lambda v: v / 0.3**2, max_kl=0.01, damping=0.0)
    assert step.item() == pytest.approx(0.3 * (2 * 0.01) ** 0.5)


def test_shares_are_tried_from_the_whole_down():
    tried = []

    def judge(share):
        tried.append(share)
        return (2.0 if share < 0.9 else 0.5), share**2

    assert backtracked(judge, 1.0, max_kl=0.5) == pytest.approx(0.64)
    assert tried == pytest.approx([1, 0.8, 0.64])
    assert backtracked(lambda share: (1.0, 0.0), 1.0, max_kl=0.5) == 0, "no gain"
    assert backtracked(lambda share: (2.0, 0.6), 1.0, max_kl=0.5, n_tries=4) == 0, "too far"
    assert backtracked(lambda share: (float("nan"), 0.0), 1.0, max_kl=0.5) == 0
