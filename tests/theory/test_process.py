"""Processes: what they check, what can be reached, and that running them follows their probabilities."""

import os
import re

import numpy as np
import pytest
import scipy.sparse as sp

from umeta.core.errors import InputError
from umeta.theory.explorer import random_walk
from umeta.theory.process import TabularProcess, check_memory
from umeta.theory.world import gridworld, tree


def coin(share=0.25):
    """Return two states; action 1 of state 0 goes to state 1 with the given probability."""
    transitions = np.zeros((2, 2, 2))
    transitions[0, 0] = [1, 0]
    transitions[0, 1] = [1 - share, share]
    transitions[1, :, 1] = 1
    return transitions


def test_arrays_become_a_process():
    process = TabularProcess.from_arrays(coin(), 0, 3)
    assert (process.n_states, process.n_actions, process.horizon) == (2, 2, 3)
    assert not process.is_deterministic
    assert TabularProcess.from_arrays(coin(1.0), 0, 3).is_deterministic
    assert process.name(1) == "state 1"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t[0, 1].__setitem__(1, 0.15), "state 0, action 1, sum to 0.9, not 1; 1 of 4 rows are wrong"),
        (lambda t: t[1, 0].__setitem__(slice(None), [-0.5, 1.5]), "state 1, action 0, have a negative one, -0.5"),
        (lambda t: t[1, 1].__setitem__(0, np.nan), "state 1, action 1, sum to nan, not 1"),
    ],
)
def test_rows_that_are_no_distribution(change, told):
    transitions = coin()
    change(transitions)
    with pytest.raises(InputError, match=re.escape(told)):
        TabularProcess.from_arrays(transitions, 0, 3)


def test_other_bad_arrays():
    with pytest.raises(InputError, match=r"must be \[n_states, n_actions, n_states\], not \[2, 2\]"):
        TabularProcess.from_arrays(np.eye(2), 0, 1)
    with pytest.raises(InputError, match="start state 2 is not in 0 to 1"):
        TabularProcess.from_arrays(coin(), 2, 1)
    with pytest.raises(InputError, match=r"the start distribution sums to 0\.9 with a least entry of 0\.4"):
        TabularProcess.from_arrays(coin(), np.array([0.5, 0.4]), 1)
    with pytest.raises(InputError, match="the horizon must be at least 1 step, not 0"):
        TabularProcess.from_arrays(coin(), 0, 0)
    with pytest.raises(InputError, match="do not fit"):
        TabularProcess(sp.csr_array(np.eye(3)[:2]), np.eye(3)[0], 1)


def test_what_can_be_reached(grid):
    assert grid.reach[0].sum() == 1
    assert grid.reach[3].sum() == 10  # 1 + 2 + 3 + 4 cells within three steps of the corner
    assert grid.reach[8].all() and not grid.reach[7].all()
    assert tree(2, 3).reach[-1].sum() == 8


def test_goals_out_of_reach_are_listed_with_the_horizon_that_works():
    short = gridworld(5, 5, horizon=6)
    assert len(short.goals()) == 22
    with pytest.raises(InputError) as caught:
        short.goals(list(range(25)))
    told = str(caught.value)
    assert "3 of 25 goals cannot be reached at step 6: cell 3,4, cell 4,3, cell 4,4" in told
    assert "infinite" in told and "at least 8 is needed" in told
    assert len(gridworld(5, 5, horizon=8).goals(list(range(25)))) == 25


def test_goals_behind_a_wall_are_out_of_reach_forever():
    cut = gridworld(3, 3, horizon=9, walls=[(1, 0), (1, 1), (1, 2)])
    assert [cut.name(state) for state in cut.unreachable()] == ["cell 2,0", "cell 2,1", "cell 2,2"]
    with pytest.raises(InputError, match="no horizon is long enough for cell 2,1: leave them out"):
        cut.goals([0, 4])


def test_goals_that_no_one_horizon_has():
    ring = np.zeros((2, 1, 2))
    ring[[0, 1], 0, [1, 0]] = 1
    process = TabularProcess.from_arrays(ring, 0, 3)
    assert process.goals().tolist() == [1]
    with pytest.raises(InputError, match="at least 4 is needed"):
        process.goals([0])
    with pytest.raises(InputError, match="no one horizon has all of them"):
        process.goals([0, 1])


@pytest.mark.parametrize("goals", [[], [25], [-1], [3, 3]])
def test_goals_that_do_not_exist(grid, goals):
    with pytest.raises(InputError, match=r"there is no goal|different states in 0 to 24"):
        grid.goals(goals)


def test_a_size_past_memory_is_estimated_before_anything_is_built(monkeypatch):
    with pytest.raises(InputError, match=r"100000000 states.*need more than a million GiB.*use fewer states or a shorter horizon"):
        gridworld(10_000, 10_000, horizon=1000)
    check_memory(400, 5, 5, 20)
    monkeypatch.setattr(os, "sysconf", lambda name: 1000)
    with pytest.raises(InputError, match="half of this machine's memory"):
        gridworld(5, 5, horizon=10)


def test_running_follows_the_probabilities(rng):
    process = TabularProcess.from_arrays(coin(), np.array([0.7, 0.3]), 2)
    policy = np.zeros((2, 2, 2))
    policy[0, :, 1] = 1
    policy[1] = [[0.5, 0.5], [1, 0]]
    states = process.simulate(policy, 40_000, rng)
    assert states.shape == (40_000, 3)
    assert states[:, 0].mean() == pytest.approx(0.3, abs=0.01)
    assert states[:, 1].mean() == pytest.approx(0.3 + 0.7 * 0.25, abs=0.01)
    assert states[:, 2].mean() == pytest.approx(0.475 + 0.525 * 0.125, abs=0.01)
    assert np.array_equal(states, process.simulate(policy, 40_000, rng))


def test_episodes_end_where_the_marginal_says(noisy_grid, rng):
    explorer = random_walk(noisy_grid)
    ends = noisy_grid.simulate(explorer.policy, 20_000, rng)[:, -1]
    assert np.abs(np.bincount(ends, minlength=25) / 20_000 - explorer.marginal).max() < 0.01


def test_dense_arrays_given_to_the_class_are_sent_to_from_arrays():
    with pytest.raises(InputError, match="from_arrays takes dense arrays"):
        TabularProcess(np.ones((2, 1, 2)) / 2, np.array([1.0, 0.0]), 3)


@pytest.mark.parametrize("start", [np.array([1.0]), np.eye(2)])
def test_a_start_of_another_shape_is_told_as_it_was_given(start):
    with pytest.raises(InputError, match=r"start must be a distribution \[2\] over states"):
        TabularProcess.from_arrays(np.ones((2, 1, 2)) / 2, start, 3)


def test_no_action_is_told_by_the_shape_that_was_given():
    with pytest.raises(InputError, match=r"not \[4, 0, 4\]"):
        TabularProcess.from_arrays(np.ones((4, 0, 4)), 0, 3)
