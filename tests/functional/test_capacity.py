"""Weights of given distributions against closed forms and slow oracles."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from umeta.functional.capacity import capacity_weights, divergences, regret_weights


def test_divergences_by_hand():
    rows = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    assert divergences(rows, np.array([0.5, 0.5])) == pytest.approx([math.log(2), 0, math.log(2)])
    assert divergences(rows, np.array([1.0, 0.0])).tolist() == [0, math.inf, math.inf]


def test_capacity_of_known_channels():
    flip = np.array([[0.9, 0.1], [0.1, 0.9]])
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    weights, information = capacity_weights(flip)
    assert information == pytest.approx(math.log(2) - entropy)
    assert weights == pytest.approx([0.5, 0.5])
    # The Z-channel with one half: capacity log(5 / 4), the sure input 3 times in 5.
    weights, information = capacity_weights(np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert information == pytest.approx(math.log(5 / 4), abs=1e-9)
    assert weights == pytest.approx([0.6, 0.4], abs=1e-4)
    assert capacity_weights(np.eye(7))[1] == pytest.approx(math.log(7))


def test_at_the_capacity_used_rows_are_equally_far_and_unused_ones_nearer():
    rows = np.random.default_rng(0).dirichlet(np.full(6, 0.3), 20)
    weights, information = capacity_weights(rows, tolerance=1e-9)
    far = divergences(rows, weights @ rows)
    assert far[weights > 1e-3] == pytest.approx(information, abs=1e-6)
    assert far.max() < information + 1e-8
    assert (weights < 1e-3).any()


def test_outcomes_that_no_row_has_change_nothing():
    rows = np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]])
    assert capacity_weights(rows)[1] == pytest.approx(math.log(5 / 4), abs=1e-9)


def test_the_square_root_law_in_one_step():
    prior = np.array([0.64, 0.25, 0.09, 0.02])
    weights, regret = regret_weights(np.eye(4), prior, max_iterations=1)
    assert weights == pytest.approx(np.sqrt(prior) / np.sqrt(prior).sum())
    assert regret == pytest.approx(np.sqrt(prior).sum() ** 2)


def test_least_regret_against_a_general_solver():
    generator = np.random.default_rng(1)
    rows, prior = generator.dirichlet(np.full(5, 0.5), 4), generator.dirichlet(np.ones(5))

    def cost(free):
        weights = np.exp(free) / np.exp(free).sum()
        return (prior / (weights @ rows)).sum()

    slow = minimize(cost, np.zeros(4), method="Nelder-Mead", options={"maxiter": 20_000, "xatol": 1e-9, "fatol": 1e-12}).fun
    weights, regret = regret_weights(rows, prior, tolerance=1e-12)
    assert regret == pytest.approx(slow, rel=1e-6)
    assert weights.sum() == pytest.approx(1)


def test_goals_without_prior_may_be_out_of_reach():
    assert regret_weights(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1.0, 0.0]))[1] == 1
