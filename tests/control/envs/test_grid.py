"""The grid: the same process as the theory's, state by state."""

import numpy as np
import pytest
import torch

from umeta.control.envs.grid.env import Grid
from umeta.control.envs.grid.viewer import CELL, draw
from umeta.core.errors import InputError
from umeta.theory.world import gridworld

WALLS = ((1, 1), (2, 3))


def everywhere(process, action, rng, n=1):
    """Put `n` walkers in every cell and let all take one action; returns where they are then."""
    running = process.start(len(process.cells), n, rng)
    running.cell = torch.arange(len(process.cells))[:, None].expand(-1, n)
    return running.step(torch.full((len(process.cells), n), action))[0].argmax(-1)


def test_moves_are_those_of_the_theory(rng):
    process, exact = Grid(4, 5, walls=WALLS), gridworld(4, 5, horizon=10, walls=WALLS)
    assert process.cells == tuple(map(tuple, exact.places.tolist()))
    table = exact.transitions.toarray().reshape(exact.n_states, 5, exact.n_states)
    for action in range(5):
        assert np.array_equal(everywhere(process, action, rng)[:, 0].numpy(), table[:, action].argmax(-1))


def test_slips_are_as_frequent_as_in_the_theory(rng):
    process, exact = Grid(3, 3, slip=0.4), gridworld(3, 3, horizon=10, slip=0.4)
    table = exact.transitions.toarray().reshape(9, 5, 9)
    after = everywhere(process, 3, rng, n=4000)
    shares = torch.nn.functional.one_hot(after, 9).float().mean(1)
    assert np.abs(shares.numpy() - table[:, 3]).max() < 0.03
    assert torch.equal(after, everywhere(process, 3, rng, n=4000))


def test_the_start_must_be_free(rng):
    assert Grid().start(1, 1, rng).observation.argmax().item() == 0
    with pytest.raises(InputError, match="start"):
        Grid(walls=((0, 0),))


def test_the_picture_shows_where_the_walker_is():
    process = Grid(2, 3)
    picture = draw(process, torch.eye(6)[[0, 4]])
    assert picture.getpixel((CELL + CELL // 2, CELL + CELL // 2)) != picture.getpixel((CELL // 2, CELL // 2))
