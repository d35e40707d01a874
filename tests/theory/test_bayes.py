"""The square-root law, and known priors under noise with a bound that does not trust the algorithm."""

import numpy as np
import pytest
from scipy.optimize import minimize

from umeta.core.errors import InputError
from umeta.theory.bayes import bayes_explorer, square_root_law
from umeta.theory.explorer import random_walk, uniform_goals
from umeta.theory.minimax import minimax_explorer
from umeta.theory.regret import regret
from umeta.theory.world import bandit, gridworld


def test_16_goals_against_the_closed_form(rng):
    prior = np.append(0.0, rng.numpy().dirichlet(np.ones(16)))
    found = bayes_explorer(bandit([1.0] * 16), prior)
    root, law = square_root_law(prior[1:])
    assert law == pytest.approx(np.sqrt(prior).sum() ** 2)
    assert found.value == pytest.approx(law, abs=1e-9)
    assert found.explorer.marginal[1:] == pytest.approx(root, abs=1e-9)
    assert found.bound == pytest.approx(law, abs=1e-5)
    assert law < 15
    assert regret(prior, prior) == pytest.approx(16)
    assert regret(np.append(0.0, np.full(16, 1 / 16)), prior) == pytest.approx(16)


def test_the_law_holds_on_a_grid_and_no_process_beats_it(grid, noisy_grid, rng):
    prior = rng.numpy().dirichlet(np.ones(25))
    law = square_root_law(prior)[1]
    assert bayes_explorer(grid, prior).value == pytest.approx(law, rel=1e-6)
    noisy = bayes_explorer(noisy_grid, prior)
    assert law * (1 - 1e-9) <= noisy.value < law * (1 + 1e-5)
    assert noisy.bound <= noisy.value < noisy.bound * (1 + 1e-6)
    for other in (uniform_goals(noisy_grid), random_walk(noisy_grid)):
        assert regret(other.marginal, prior) > noisy.value


def test_where_noise_keeps_the_law_out_of_reach():
    # The second arm works 1 time in 4: regret p1 / (1 - w / 4) + p2 / (w / 4) with w at most 1 is least at w = 1.
    prior = np.array([0.0, 0.5, 0.5])
    found = bayes_explorer(bandit([1.0, 0.25]), prior)
    assert found.value == pytest.approx(0.5 / 0.75 + 0.5 / 0.25, rel=1e-5)
    assert found.bound <= found.value
    assert found.value > square_root_law(prior[1:])[1] + 0.5


def test_against_a_general_solver():
    process, prior = bandit([1.0, 0.6, 0.3]), np.array([0.0, 0.2, 0.3, 0.5])

    def cost(free):
        weights = np.exp(free) / np.exp(free).sum()
        return (prior[1:] / (weights @ process.transitions[[0, 1, 2]].toarray()[:, 1:])).sum()

    slow = minimize(cost, np.zeros(3), method="Nelder-Mead", options={"maxiter": 20_000, "xatol": 1e-9, "fatol": 1e-12}).fun
    assert bayes_explorer(process, prior).value == pytest.approx(slow, rel=1e-5)


def test_the_adversarys_prior_makes_the_minimax_explorer_best():
    process = gridworld(5, 5, horizon=12, slip=0.8)
    solution = minimax_explorer(process)
    prior = np.zeros(25)
    prior[solution.goals] = np.where(solution.adversary > 1e-9, solution.adversary, 0)
    prior /= prior.sum()
    assert bayes_explorer(process, prior, tolerance=1e-4).value == pytest.approx(solution.value, rel=1e-3)


def test_a_prior_on_goals_out_of_reach(grid):
    with pytest.raises(InputError, match=r"sums to 1\.04"):
        bayes_explorer(grid, np.full(25, 1 / 24))
    short = gridworld(5, 5, horizon=7)
    with pytest.raises(InputError, match="cell 4,4; so the regret of every explorer is infinite"):
        bayes_explorer(short, np.full(25, 1 / 25))


@pytest.mark.parametrize(
    ("prior", "told"), [([0.5, -0.5, 1.0], "least entry of -0.5"), ([0.5, 0.6], "sums to 1.1"), ([np.nan, 1.0], "nan")]
)
def test_a_prior_that_is_none_is_refused(prior, told):
    with pytest.raises(InputError, match=told):
        square_root_law(np.array(prior))


def test_a_prior_of_the_wrong_length_is_told_so():
    with pytest.raises(InputError, match=r"each of 9, and this one has shape \[4\]"):
        bayes_explorer(gridworld(3, 3, horizon=4), np.full(4, 0.25))
