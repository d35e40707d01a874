"""Trajectories: counted, unrolled, and their price by program, recursion and hand."""

import numpy as np
import pytest

from umeta.core.errors import InputError
from umeta.theory.minimax import minimax_explorer
from umeta.theory.mutual_information import mutual_information_skills
from umeta.theory.process import TabularProcess
from umeta.theory.trajectory import count_trajectories, minimax_trajectory_value, reward_bound, reward_regret, unroll
from umeta.theory.world import bandit, gridworld, tree


def test_counting():
    assert count_trajectories(tree(3, 4)) == 81
    assert count_trajectories(gridworld(5, 5, horizon=10)) == 5**10
    assert count_trajectories(tree(2, 2, slip=0.1)) == 16
    assert count_trajectories(gridworld(5, 5, horizon=200)) == 5**200


@pytest.mark.parametrize("process", [tree(2, 3), tree(2, 2, slip=0.3), gridworld(1, 2, horizon=3), bandit([1.0, 0.3])], ids=str)
def test_the_recursion_is_the_program_over_all_histories(process):
    solution = minimax_explorer(unroll(process))
    assert solution.value == pytest.approx(minimax_trajectory_value(process), rel=1e-6)
    assert abs(solution.gap) < 1e-8
    assert len(solution.goals) == count_trajectories(process)


def test_without_noise_every_trajectory_is_alike_and_information_finds_it(rng):
    process = unroll(tree(2, 4))
    assert minimax_explorer(process).explorer.marginal[-16:] == pytest.approx(np.full(16, 1 / 16), abs=1e-9)
    skills = mutual_information_skills(process, rng)
    assert skills.information == pytest.approx(np.log(16))
    assert skills.explorer.marginal[-16:] == pytest.approx(np.full(16, 1 / 16), abs=1e-9)


def test_noise_by_hand():
    # One step, two actions, each outcome with 0.85 and 0.15: both actions must be ready for their rare outcome, 2 / 0.15.
    assert minimax_trajectory_value(tree(2, 1, slip=0.3)) == pytest.approx(2 / 0.15)


def test_unrolling_keeps_what_can_happen():
    process = unroll(gridworld(1, 2, horizon=2))
    assert process.n_states == 1 + 5 + 25
    assert process.reach.sum(1).tolist() == [1, 5, 25]


def test_regret_over_rewards_by_hand_and_its_bound(rng):
    uniform = np.full(4, 0.25)
    assert reward_regret(uniform, np.array([[1.0, 0, 0, 0]])) == pytest.approx([3])
    assert reward_regret(uniform, np.array([[1.0, 1, 0.5, 0]])) == pytest.approx([0.25 * 1.5 / 0.5])
    assert reward_regret(uniform, np.array([[0.3] * 4])) == pytest.approx([0])
    assert np.isinf(reward_regret(np.array([0, 0.5, 0.25, 0.25]), np.array([[1.0, 0, 0, 0]])))
    rewards = rng.numpy().random((500, 4)) ** 3
    assert reward_regret(uniform, rewards).max() <= reward_bound(4) == 3
    for marginal in rng.numpy().dirichlet(np.ones(4), 50):
        assert reward_regret(marginal, np.eye(4)).max() >= 3


def test_what_cannot_be_listed():
    with pytest.raises(InputError, match="there are 9,765,625 trajectories; at most 20,000"):
        unroll(gridworld(5, 5, horizon=10))
    still = np.zeros((2, 1, 2))
    still[[0, 1], 0, [0, 1]] = 1
    with pytest.raises(InputError, match="one start state"):
        unroll(TabularProcess.from_arrays(still, np.array([0.5, 0.5]), 1))
