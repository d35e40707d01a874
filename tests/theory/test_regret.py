"""Regret by hand and by running it."""

import math

import numpy as np
import pytest

from umeta.core.errors import InputError
from umeta.theory.explorer import random_walk, uniform_goals
from umeta.theory.regret import hitting_times, measure_hitting_time, missed, never_reached, regret, worst_case
from umeta.theory.world import bandit, gridworld

MARGINAL = np.array([0.5, 0.25, 0.25, 0.0])


def test_by_hand():
    assert hitting_times(MARGINAL).tolist() == [2, 4, 4, math.inf]
    assert regret(MARGINAL, np.array([0.5, 0.5, 0, 0])) == pytest.approx(0.5 * 2 + 0.5 * 4)
    assert regret(MARGINAL, np.array([0.5, 0.25, 0, 0.25])) == math.inf
    assert worst_case(MARGINAL, np.array([0, 1, 2])) == (4, 1)
    assert worst_case(MARGINAL, np.arange(4)) == (math.inf, 3)
    assert never_reached(MARGINAL, np.arange(4)).tolist() == [3]
    assert missed(MARGINAL, np.array([0.5, 0.5, 0, 0]), 2) == pytest.approx(0.5 * 0.25 + 0.5 * 0.75**2)
    assert missed(MARGINAL, np.array([0, 0, 0, 1.0]), 99) == 1


@pytest.mark.parametrize("prior", [np.array([1.0, 0, 0]), np.array([0.5, 0.4, 0, 0]), np.array([1.5, -0.5, 0, 0])])
def test_a_prior_that_is_none(prior):
    with pytest.raises(InputError, match=r"shape \[3\]|sums to 0.9|least entry of -0.5"):
        regret(MARGINAL, prior)


def test_matching_the_prior_costs_as_much_as_ignoring_it(rng):
    prior = rng.numpy().dirichlet(np.ones(16))
    assert regret(prior, prior) == pytest.approx(16)
    assert regret(np.full(16, 1 / 16), prior) == pytest.approx(16)


def test_hitting_times_are_those_of_running_it(rng):
    process = gridworld(3, 3, horizon=4, slip=0.3)
    for explorer, goal in ((uniform_goals(process), 8), (random_walk(process), 4)):
        mean, half = measure_hitting_time(process, explorer, goal, 4000, rng)
        assert abs(mean - hitting_times(explorer.marginal)[goal]) < 1.5 * half
        assert half < 0.1 * mean


def test_what_cannot_be_run_is_refused(rng):
    process = bandit([1.0, 0.0])
    with pytest.raises(InputError, match="uniform goals needs inf episodes to state 2: too many to run"):
        measure_hitting_time(process, uniform_goals(process), 2, 10, rng)
