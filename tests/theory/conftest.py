"""Grids that many tests of the theory look at, each solved once."""

import pytest

from umeta.core.rng import Rng
from umeta.theory.study import compare_explorers
from umeta.theory.world import gridworld

WALL = [(2, 0), (2, 1), (2, 3), (2, 4)]


@pytest.fixture(scope="session")
def grid():
    """5x5, start in a corner, horizon 10, no noise."""
    return gridworld(5, 5, horizon=10)


@pytest.fixture(scope="session")
def noisy_grid():
    """The same with slip 0.3."""
    return gridworld(5, 5, horizon=10, slip=0.3)


@pytest.fixture(scope="session")
def walled_grid():
    """The same with slip 0.3 and a wall with one gap."""
    return gridworld(5, 5, horizon=10, slip=0.3, walls=WALL)


@pytest.fixture(scope="session")
def comparison(grid):
    """All explorers on the grid without noise."""
    return compare_explorers(grid, Rng.from_seed(0))


@pytest.fixture(scope="session")
def noisy_comparison(noisy_grid):
    """All explorers on the grid with slip 0.3."""
    return compare_explorers(noisy_grid, Rng.from_seed(0))
