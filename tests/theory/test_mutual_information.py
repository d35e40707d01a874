"""The most informative skills: exact without noise, against lists of all policies on tiny processes, and honest about the rest."""

import math

import numpy as np
import pytest

from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.functional.capacity import divergences
from umeta.theory.mutual_information import (
    enumerate_policies,
    exact_skills,
    goal_skills,
    information_ceiling,
    mutual_information_skills,
    redundancy,
)
from umeta.theory.planning import marginals_of
from umeta.theory.world import bandit, gridworld


def test_without_noise_it_is_uniform_with_log_25(comparison):
    skills = comparison.skills
    assert skills.information == pytest.approx(math.log(25), abs=1e-9)
    assert np.abs(skills.explorer.marginal - 1 / 25).max() < 1e-8
    assert skills.gap < 1e-9 and skills.searched == "all policies: no skills tell more than log 25"
    assert comparison.ceiling == pytest.approx(math.log(25), abs=1e-6)


def test_with_noise_it_is_worse_by_the_worst_case_and_better_by_its_own_regret(noisy_comparison):
    skills = noisy_comparison.skills
    worst = {entry.explorer.name: entry.worst for entry in noisy_comparison.entries}
    far = {entry.explorer.name: entry.redundancy for entry in noisy_comparison.entries}
    assert worst["MI (all policies)"] == pytest.approx(66.6, abs=1.0)
    assert skills.information == pytest.approx(2.1547, abs=5e-4)
    assert skills.gap < 1e-4 and skills.searched.startswith("what a local search found, from")
    assert far["MI (all policies)"] == pytest.approx(2.155, abs=2e-3)
    assert far["minimax (LP)"] == pytest.approx(2.590, abs=2e-3)
    assert far["uniform goals"] == pytest.approx(2.475, abs=2e-3)
    assert min(far, key=far.get) == "MI (all policies)"
    assert skills.information < noisy_comparison.ceiling == pytest.approx(2.534, abs=2e-3)


def test_goal_skills_are_a_restriction(noisy_grid, noisy_comparison):
    few = goal_skills(noisy_grid)
    assert few.information == pytest.approx(2.031, abs=2e-3)
    assert few.information < noisy_comparison.skills.information
    assert few.searched == "the 25 policies that go to a goal"


@pytest.mark.parametrize(("width", "horizon", "n_policies"), [(3, 2, 12), (3, 3, 144), (4, 3, 216)])
def test_the_search_finds_what_listing_all_policies_finds(width, horizon, n_policies, rng):
    process = gridworld(1, width, horizon=horizon, slip=0.3)
    exact, found = exact_skills(process, tolerance=1e-7), mutual_information_skills(process, rng, tolerance=1e-6, n_starts=20)
    assert len(exact.policies) == n_policies and "all policies" in exact.searched
    assert found.information == pytest.approx(exact.information, abs=2e-6)
    assert found.explorer.marginal == pytest.approx(exact.explorer.marginal, abs=1e-3)
    assert exact.information < information_ceiling(process) + 1e-9


def test_the_list_is_all_that_policies_can_do():
    process = gridworld(1, 3, horizon=2, slip=0.3)
    listed = marginals_of(process, enumerate_policies(process))
    everything = np.array(np.meshgrid(*[range(5)] * 6)).reshape(6, -1).T.reshape(-1, 2, 3)
    ends = marginals_of(process, everything)
    distinct = {tuple(end.round(9)) for end in ends}
    assert {tuple(end.round(9)) for end in listed} == distinct


def test_the_z_channel_by_hand():
    skills = exact_skills(bandit([1.0, 0.5]))
    assert skills.information == pytest.approx(math.log(5 / 4), abs=1e-8)
    assert skills.explorer.marginal[1:] == pytest.approx([0.8, 0.2], abs=1e-4)
    posterior = skills.discriminator()
    assert posterior[:, 1] == pytest.approx([0.75, 0.25], abs=1e-3)
    assert posterior[:, 2] == pytest.approx([0, 1])
    assert posterior[:, 0].tolist() == [0, 0], "no skill ends where the choice is made"


def test_information_is_that_of_its_own_parts(noisy_comparison):
    skills = noisy_comparison.skills
    mixture = skills.weights @ skills.marginals
    assert skills.information == pytest.approx(float(skills.weights @ divergences(skills.marginals, mixture)))
    assert skills.explorer.marginal == pytest.approx(mixture, abs=1e-12)
    assert skills.marginals[:3] == pytest.approx(marginals_of(noisy_comparison.process, skills.policies[:3]))


def test_the_search_is_a_function_of_its_stream():
    process = gridworld(1, 4, horizon=3, slip=0.3)
    one, two = (mutual_information_skills(process, Rng.from_seed(3), n_starts=10) for _ in range(2))
    assert np.array_equal(one.explorer.marginal, two.explorer.marginal)


def test_a_search_that_was_cut_short_says_how_far_it_came(noisy_grid, noisy_comparison, rng):
    short = mutual_information_skills(noisy_grid, rng, n_starts=5, max_rounds=1)
    assert short.gap > 0.05
    assert short.information + short.gap > noisy_comparison.skills.information
    assert short.searched.endswith("in each of 1 rounds")


def test_redundancy_of_the_uniform_marginal_without_noise(grid, rng):
    assert redundancy(grid, np.full(25, 1 / 25), rng, n_starts=5) == pytest.approx(math.log(25))


def test_too_many_policies_to_list():
    with pytest.raises(InputError, match="takes over 200,000; use mutual_information_skills"):
        exact_skills(gridworld(5, 5, horizon=10, slip=0.3))
