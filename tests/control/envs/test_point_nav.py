"""The point and its arena: moves by hand, walls against a slow walk."""

import itertools

import pytest
import torch

from umeta.control.envs.catalog import make_process
from umeta.control.envs.point_nav.env import PointNav, point_walls
from umeta.control.envs.point_nav.viewer import SIDE, WALL, draw
from umeta.core.errors import InputError


def test_moves_are_clipped_and_end_at_the_edge(rng):
    running = PointNav().start(1, 2, rng)
    assert running.observation.tolist() == [[[0.0, 0.0], [0.0, 0.0]]]
    position, alive = running.step(torch.tensor([[[0.05, -3.0], [9.0, 0.02]]]))
    assert torch.allclose(position, torch.tensor([[[0.05, -0.1], [0.1, 0.02]]]))
    assert alive.all()
    for _ in range(9):
        position, _ = running.step(torch.full((1, 2, 2), 0.1))
    assert torch.allclose(position, torch.full((1, 2, 2), 0.5))


def crosses(process, was, now):
    """Whether a slow walk of 400 small steps from each position to the next goes through a wall."""
    way = was + torch.linspace(0, 1, 401).reshape(-1, 1, 1) * (now - was)
    through = torch.zeros(len(was), dtype=torch.bool)
    for wall in process.walls:
        across, along = way[..., wall.axis] - wall.at, way[:-1, :, 1 - wall.axis]
        through |= ((across[1:] * across[:-1] < 0) & (along >= wall.low) & (along <= wall.high)).any(0)
    return through


def test_nobody_goes_through_a_wall(rng):
    process = point_walls()
    running = process.start(1, 300, rng)
    generator = rng.torch()
    n_stopped = 0
    for _ in range(25):
        was, move = running.observation[0].clone(), 0.2 * torch.rand(300, 2, generator=generator) - 0.1
        now = running.step(move[None])[0][0]
        assert not crosses(process, was, now).any()
        n_stopped += int(crosses(process, was, (was + move).clamp(-0.5, 0.5)).sum())
    assert n_stopped > 20


def test_a_wall_stops_what_crosses_it_and_keeps_the_motion_along_it(rng):
    running = point_walls().start(1, 1, rng)
    for move in ((0.1, 0.0), (0.1, 0.05), (0.1, 0.05)):
        position, _ = running.step(torch.tensor([[move]]))
    assert position[0, 0, 0] < 0.2
    assert position[0, 0].tolist() == pytest.approx([0.2, 0.1], abs=1e-3)


def test_both_parts_beyond_the_walls_can_be_reached(rng):
    running = point_walls().start(1, 1, rng)
    for move in ((0.0, 0.1),) * 3 + ((0.1, 0.0),) * 4 + ((0.0, -0.1),) * 7:
        position, _ = running.step(torch.tensor([[move]]))
    assert torch.allclose(position[0, 0], torch.tensor([0.4, -0.4]), atol=1e-5)


def test_features_and_names():
    assert PointNav().feature(torch.tensor([0.5, -0.25])).tolist() == [1.0, -0.5]
    assert [PointNav().name, point_walls().name] == ["PointNav-v0", "PointWalls-v0"]
    assert make_process("PointWalls-v0") == point_walls()
    with pytest.raises(InputError, match="no environment 'PointNv-v0'; did you mean PointNav-v0"):
        make_process("PointNv-v0")


def test_the_picture_shows_the_walls_and_the_point():
    empty, walls = draw(PointNav(), torch.zeros(1, 2)), draw(point_walls(), torch.zeros(1, 2))
    assert empty.size == (SIDE, SIDE)
    inner = list(itertools.product(range(10, SIDE - 10), repeat=2))
    assert sum(empty.getpixel(at) == WALL for at in inner) == 0
    assert sum(walls.getpixel(at) == WALL for at in inner) > 1000
    assert empty.getpixel((SIDE // 2, SIDE // 2)) != empty.getpixel((20, 20))
