"""What the theory finds, as tasks to practice on, through the interfaces of the rest."""

import numpy as np
import pytest

from umeta.core.errors import InputError
from umeta.evaluation.evaluate import evaluate
from umeta.testing import check_tabular_tasks
from umeta.theory.mutual_information import exact_skills
from umeta.theory.tasks import ExplorerProcedure, TabularTasks, minimax_tasks, skill_tasks
from umeta.theory.world import bandit


def test_both_kinds_of_tasks_keep_the_contract(grid, comparison, noisy_comparison):
    check_tabular_tasks(minimax_tasks(grid, comparison.minimax))
    check_tabular_tasks(skill_tasks(noisy_comparison.process, noisy_comparison.skills))


def test_goals_come_as_often_as_the_adversary_says(grid, comparison, rng):
    tasks = minimax_tasks(grid, comparison.minimax)
    drawn = tasks.sample_batch(rng, 5000)
    goals = np.array([task.reward.argmax() for task in drawn])
    assert np.abs(np.bincount(goals, minlength=25) / 5000 - 1 / 25).max() < 0.012
    assert all(task.reward.sum() == 1 and task.reward.max() == 1 for task in drawn[:50])


def test_rewards_of_skills_by_hand():
    process = bandit([1.0, 0.5])
    tasks = skill_tasks(process, exact_skills(process), floor=1e-6)
    assert np.exp(tasks.rewards[:, 1]) == pytest.approx([0.75, 0.25], abs=1e-3)
    assert tasks.rewards[0, 2] == pytest.approx(np.log(1e-6))
    assert tasks.rewards[1, 2] == pytest.approx(0, abs=1e-9)
    assert tasks.probability == pytest.approx([0.6, 0.4], abs=1e-3)


def test_a_reward_is_earned_once_at_the_end(grid, comparison, rng):
    task = minimax_tasks(grid, comparison.minimax).sample(rng)
    states, returns = task.query.run(comparison.entries[0].explorer.policy, rng)
    assert states.shape == (20, 11) and returns.shape == (20,)
    assert np.array_equal(returns, task.reward[states[:, -1]])


def scores(procedure, tasks, rng):
    behaviors = [procedure.adapt(task.support, rng.fork("adapt", index)) for index, task in enumerate(tasks)]
    return np.array([[task.query.run(one.policy, rng)[1].mean() for one, task in zip(behaviors, tasks, strict=True)]])


def test_the_explorer_as_a_procedure_finds_what_the_formula_says(grid, comparison, rng):
    tasks = TabularTasks(grid, np.eye(25), comparison.minimax.adversary, n_support=20, n_query=2)
    procedure = ExplorerProcedure.from_skills(comparison.skills, grid.n_actions)
    found, half = evaluate(procedure, tasks, scores, n_tasks=120, rng=rng).summary()
    # A goal that 20 episodes did not find is not met by the skill that is kept either.
    assert abs(found - (1 - (24 / 25) ** 20)) < 1.5 * half
    assert not procedure.transductive


def test_tasks_that_do_not_fit(grid):
    with pytest.raises(InputError, match=r"2 tasks on 25 states do not have rewards \(2, 24\)"):
        TabularTasks(grid, np.zeros((2, 24)), np.array([0.5, 0.5]))
    with pytest.raises(InputError, match=r"sum to 0\.9, not 1"):
        TabularTasks(grid, np.zeros((2, 25)), np.array([0.5, 0.4]))
