"""The linear program: the values of the issue, its dual, certificates that do not trust the solver, and what cannot be solved."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

import umeta.theory.minimax as minimax_module
from umeta.core.errors import InputError, UmetaError
from umeta.theory.explorer import random_walk, uniform_goals
from umeta.theory.minimax import minimax_explorer
from umeta.theory.occupancy import occupancy
from umeta.theory.process import TabularProcess
from umeta.theory.regret import hitting_times, regret, worst_case
from umeta.theory.world import bandit, gridworld


def test_without_noise_the_optimum_is_uniform_and_so_is_the_adversary(grid, comparison):
    solution = comparison.minimax
    assert solution.value == pytest.approx(25, abs=1e-8)
    assert solution.bound == pytest.approx(25, abs=1e-8)
    assert abs(solution.gap) < 1e-8
    assert np.abs(solution.explorer.marginal - 1 / 25).max() < 1e-8
    assert np.abs(solution.adversary - 1 / 25).max() < 1e-8
    assert worst_case(uniform_goals(grid).marginal, grid.goals())[0] == pytest.approx(25, abs=1e-8)


def test_with_noise_the_program_still_has_the_bound_and_the_others_do_not(noisy_grid, noisy_comparison):
    worst = {entry.explorer.name: entry.worst for entry in noisy_comparison.entries}
    assert worst["minimax (LP)"] == pytest.approx(25, abs=1e-6)
    assert worst["uniform goals"] == pytest.approx(43.8, abs=0.05)
    assert worst["MI over goal skills"] == pytest.approx(196.7, abs=0.5)
    assert worst["random walk"] == pytest.approx(804.55, abs=0.01)
    assert abs(noisy_comparison.minimax.gap) < 1e-8


def test_a_bottleneck(walled_grid):
    assert minimax_explorer(walled_grid).value == pytest.approx(21, abs=1e-6)
    assert worst_case(uniform_goals(walled_grid).marginal, walled_grid.goals())[0] == pytest.approx(41.0, abs=0.05)
    assert worst_case(random_walk(walled_grid).marginal, walled_grid.goals())[0] == pytest.approx(4589, abs=1)


@pytest.mark.parametrize("slip", [0.1, 0.5])
def test_no_explorer_is_better_than_the_program(slip):
    process = gridworld(4, 4, horizon=7, slip=slip)
    solution = minimax_explorer(process)
    for explorer in (uniform_goals(process), random_walk(process)):
        assert solution.value <= worst_case(explorer.marginal, process.goals())[0]
    assert solution.bound <= solution.value + 1e-8


def test_a_bandit_by_hand_with_an_adversary_who_is_not_uniform():
    # The second arm works 3 times in 10, so its outcome has at most 0.3, and the adversary puts all its weight there.
    solution = minimax_explorer(bandit([1.0, 0.3]))
    assert solution.value == pytest.approx(1 / 0.3)
    assert solution.bound == pytest.approx(1 / 0.3)
    assert solution.adversary == pytest.approx([0, 1], abs=1e-9)
    # At 0.5 and above both outcomes can have one half.
    assert minimax_explorer(bandit([1.0, 0.8])).explorer.marginal[1:] == pytest.approx([0.5, 0.5])


def test_the_adversary_is_the_least_favorable_prior():
    # So much noise that the uniform marginal cannot be had.
    process = gridworld(5, 5, horizon=12, slip=0.8)
    solution = minimax_explorer(process)
    prior = np.zeros(25)
    prior[solution.goals] = solution.adversary
    assert (solution.adversary > 1e-6).sum() == 10
    assert solution.value == pytest.approx(26.729, abs=1e-3)
    assert regret(solution.explorer.marginal, prior) == pytest.approx(solution.value, rel=1e-7), "it plays only goals that are rarest"
    for explorer in (uniform_goals(process), random_walk(process)):
        assert regret(explorer.marginal, prior) >= solution.bound


def test_named_goals_only(grid):
    solution = minimax_explorer(grid, [3, 24])
    assert solution.value == pytest.approx(2)
    assert hitting_times(solution.explorer.marginal)[[3, 24]] == pytest.approx([2, 2])
    with pytest.raises(InputError, match="at least 8 is needed"):
        minimax_explorer(gridworld(5, 5, horizon=7), [24])


def test_several_starts():
    transitions = np.zeros((3, 1, 3))
    transitions[np.arange(3), 0, np.arange(3)] = 1
    solution = minimax_explorer(TabularProcess.from_arrays(transitions, np.array([0.5, 0.3, 0.2]), 2))
    assert solution.value == pytest.approx(5)


def test_the_polytope_holds_policies_and_nothing_else(noisy_grid):
    space = occupancy(noisy_grid)
    policy = random_walk(noisy_grid).policy
    here, visits = noisy_grid.start, []
    for t, rule in enumerate(policy):
        visits.append((here[:, None] * rule)[space.present[t]].ravel())
        here = (here[:, None] * rule).ravel() @ noisy_grid.transitions
    variables = np.concatenate(visits)
    assert np.abs(space.flow @ variables - space.inflow).max() < 1e-12
    assert np.abs(space.last @ variables - here).max() < 1e-12
    assert np.abs(space.policy(variables) - policy).max() < 1e-12
    assert np.abs(space.flow @ (variables * 1.1) - space.inflow).max() > 0.05


def test_400_states_and_horizon_20_in_under_10_seconds():
    began = time.process_time()
    solution = minimax_explorer(gridworld(20, 20, horizon=20, slip=0.3))
    assert time.process_time() - began < 10
    assert abs(solution.gap) < 1e-8
    assert solution.value == pytest.approx(1005.7188, abs=1e-3)
    assert solution.adversary.max() > 10 * np.median(solution.adversary)


@pytest.mark.parametrize(
    ("status", "told"), [(2, "it is infeasible"), (3, "it is unbounded"), (4, "numerical difficulties"), (1, "iterations")]
)
def test_a_program_that_is_not_solved_says_why(monkeypatch, grid, status, told):
    monkeypatch.setattr(minimax_module, "linprog", lambda *_, **__: SimpleNamespace(status=status, message=""))
    with pytest.raises(UmetaError, match=f"not solved: .*{told}"):
        minimax_explorer(grid)
