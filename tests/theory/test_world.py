"""Grids, bandits, trees and toy-text environments, transition by transition."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from umeta.core.errors import InputError
from umeta.theory.world import MOVES, bandit, from_toy_text, gridworld, tree


def dense(process):
    return process.transitions.toarray().reshape(process.n_states, process.n_actions, process.n_states)


def test_a_grid_by_hand():
    process = gridworld(2, 2, horizon=3)
    stay, down, up, right, left = range(5)
    moves = dense(process).argmax(2)
    assert moves[0].tolist() == [0, 2, 0, 1, 0]
    assert moves[3, [stay, down, up, right, left]].tolist() == [3, 3, 1, 3, 2]
    assert process.is_deterministic
    assert process.places.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_slip_replaces_the_action_by_one_of_five():
    row = dense(gridworld(3, 3, horizon=2, slip=0.5))[4, 1]
    assert row[7] == pytest.approx(0.6)  # down: 0.5 + 0.5 / 5
    assert row[[1, 3, 4, 5]] == pytest.approx(0.1)
    corner = dense(gridworld(3, 3, horizon=2, slip=0.5))[0, 0]
    assert corner[0] == pytest.approx(0.5 + 0.5 * 3 / 5)  # stay, up and left all stay


def test_walls_are_no_states():
    process = gridworld(2, 3, horizon=5, walls=[(0, 1)])
    assert process.n_states == 5
    assert dense(process).argmax(2)[0, MOVES.index((0, 1))] == 0
    assert process.name(1) == "cell 0,2"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"slip": 1.5}, "slip is a probability in 0 to 1, not 1.5"),
        ({"walls": [(9, 0)]}, "wall 9,0 is outside of the 2x2 grid"),
        ({"start": (0, 2)}, "start 0,2 is outside of the 2x2 grid"),
        ({"walls": [(0, 0)]}, "the start 0,0 is a wall"),
        ({"horizon": 0}, "the horizon must be at least 1 step, not 0"),
    ],
)
def test_grids_that_do_not_exist(options, told):
    with pytest.raises(InputError, match=told):
        gridworld(2, 2, **({"horizon": 3} | options))
    with pytest.raises(InputError, match="not 0x3"):
        gridworld(0, 3, horizon=3)


def test_a_bandit_and_its_fallback():
    process = bandit([1.0, 0.25])
    assert dense(process)[0].tolist() == [[0, 1, 0], [0, 0.75, 0.25]]
    assert process.goals().tolist() == [1, 2]
    for bad in ([], [1.2]):
        with pytest.raises(InputError, match="reliability in 0 to 1"):
            bandit(bad)


def test_a_tree_and_its_leaves():
    process = tree(2, 2, slip=0.2)
    assert process.n_states == 7
    assert dense(process)[0, 1].tolist() == pytest.approx([0, 0.1, 0.9, 0, 0, 0, 0])
    assert dense(process)[2, 0].tolist() == pytest.approx([0, 0, 0, 0, 0, 0.9, 0.1])
    assert process.goals().tolist() == [3, 4, 5, 6]
    with pytest.raises(InputError, match="branching and depth of at least 1"):
        tree(2, 0)


def toy_text():
    """Return an environment as gymnasium has them: state 2 ends the episode with a reward, but its own row says otherwise."""
    table = {
        0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 0.0, False)], 1: [(1.0, 1, 0.0, False)]},
        1: {0: [(1.0, 0, 0.0, False)], 1: [(0.25, 2, 1.0, True), (0.75, 2, 1.0, True)]},
        2: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 0, 0.0, False)]},
    }
    return SimpleNamespace(unwrapped=SimpleNamespace(P=table, initial_state_distrib=np.array([1.0, 0, 0])))


def test_a_toy_text_environment_loses_its_reward_and_stays_where_it_ended():
    process = from_toy_text(toy_text(), 4)
    assert dense(process)[0].tolist() == [[0.5, 0.5, 0], [0, 1, 0]]
    assert dense(process)[1, 1].tolist() == [0, 0, 1], "outcomes with one next state are added up"
    assert dense(process)[2].tolist() == [[0, 0, 1], [0, 0, 1]]


def test_an_environment_without_a_table_and_gymnasium_that_is_missing(monkeypatch):
    with pytest.raises(InputError, match="has no table of transitions `P`"):
        from_toy_text(SimpleNamespace(unwrapped=SimpleNamespace()), 4)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(InputError, match=r"FrozenLake-v1 needs gymnasium; install it with: pip install 'gymnasium\[toy-text\]'"):
        from_toy_text("FrozenLake-v1", 4)
