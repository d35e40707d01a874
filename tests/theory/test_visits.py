"""Visited states on the axes of the optimum, in every form that a file has."""

import math
import re

import numpy as np
import pytest

from umeta.core.errors import InputError
from umeta.theory.minimax import minimax_explorer
from umeta.theory.visits import measure_visits, read_visits
from umeta.theory.world import gridworld

UNIT = (0.0, 1.0)


@pytest.fixture(scope="module")
def small():
    return gridworld(2, 2, horizon=3)


def test_by_hand(small):
    found = measure_visits(small, np.array([0, 0, 1, 2]), np.full(4, 0.25))
    assert found.marginal.tolist() == [0.5, 0.25, 0.25, 0]
    assert (found.n_episodes, found.coverage, found.worst) == (4, 0.75, math.inf)
    assert found.kl_uniform == found.kl_optimum == pytest.approx(0.5 * math.log(2))
    assert found.at_least == pytest.approx(4 / 3)
    assert found.unvisited.tolist() == [3]
    whole = measure_visits(small, np.array([0, 1, 2, 3, 3]), np.array([0.5, 0.5, 0, 0]))
    assert (whole.worst, whole.at_least, whole.coverage) == (5, 5, 1)
    assert whole.kl_optimum == math.inf


def test_the_optimum_itself_is_as_good_as_it_gets(noisy_grid, rng):
    solution = minimax_explorer(noisy_grid)
    ends = noisy_grid.simulate(solution.explorer.policy, 20_000, rng)[:, -1]
    found = measure_visits(noisy_grid, ends, solution.explorer.marginal)
    assert found.kl_optimum < 0.002
    assert 25 < found.worst < 30


@pytest.mark.parametrize(
    "array",
    [
        np.array([0, 3, 3]),
        np.array([[1, 1, 0], [0, 1, 3], [0, 0, 3]]),
        np.array([[0, 0], [1, 1], [1, 1]]),
        np.array([[0.1, 0.2], [0.6, 0.9], [1.0, 1.0]]),
        np.array([[[0.9, 0.9], [0.1, 0.2]], [[0.1, 0.1], [0.6, 0.9]], [[0.5, 0.5], [1.0, 1.0]]]),
    ],
    ids=["states", "whole episodes", "row and column", "x and y", "x and y of whole episodes"],
)
def test_every_form_of_file(small, tmp_path, array):
    np.save(tmp_path / "visits.npy", array)
    assert read_visits(tmp_path / "visits.npy", small, (2, 2), UNIT).tolist() == [0, 3, 3]


def test_x_is_the_column_and_y_the_row(tmp_path):
    process = gridworld(2, 3, horizon=5)
    np.save(tmp_path / "visits.npy", np.array([[0.9, 0.1], [0.1, 0.9]]))
    assert [process.name(state) for state in read_visits(tmp_path / "visits.npy", process, (2, 3), UNIT)] == ["cell 0,2", "cell 1,0"]


@pytest.mark.parametrize(
    ("array", "bounds", "told"),
    [
        (np.zeros((0,), int), UNIT, "with at least one episode"),
        (np.array(["a"]), UNIT, "must be one .npy array of numbers"),
        (np.zeros((2, 2, 2), int), UNIT, "whole numbers must be"),
        (np.array([[0.5, 1.5]]), UNIT, "positions go from 0.5 to 1.5, outside of the bounds 0.0 to 1.0"),
        (np.array([[0.5, np.nan]]), UNIT, "1 of 1 positions are not finite"),
        (np.zeros((3, 3)), UNIT, "positions must be x and y"),
        (np.zeros((3, 2)), (1.0, 0.0), "the bounds 1.0 and 0.0 are no interval"),
        (np.array([[0, 5]]), UNIT, "an episode ended in cell 0,5, which is a wall or outside of the grid"),
    ],
)
def test_files_that_do_not_fit(small, tmp_path, array, bounds, told):
    np.save(tmp_path / "visits.npy", array)
    with pytest.raises(InputError, match=re.escape(told)):
        read_visits(tmp_path / "visits.npy", small, (2, 2), bounds)


def test_files_that_are_none(small, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_visits(tmp_path / "gone.npy", small, (2, 2), UNIT)
    (tmp_path / "text.npy").write_text("x")
    with pytest.raises(InputError, match=r"is not a \.npy array of numbers"):
        read_visits(tmp_path / "text.npy", small, (2, 2), UNIT)


def test_states_that_are_none(small):
    for ends, told in (([], "no visited state"), ([4], "visited state 4 is not in 0 to 3")):
        with pytest.raises(InputError, match=told):
            measure_visits(small, np.array(ends, int), np.full(4, 0.25))
    with pytest.raises(InputError, match="no episode of this process can end in cell 4,4; give the horizon"):
        measure_visits(gridworld(5, 5, horizon=7), np.array([24]), np.full(25, 0.04))
