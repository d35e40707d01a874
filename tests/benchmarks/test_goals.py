"""True rewards, frozen under their names."""

import pytest
import torch

from umeta.benchmarks.goals import GOALS, true_tasks
from umeta.core.errors import InputError


def test_point_goals_reward_is_minus_the_distance_reached(rng):
    goals = true_tasks("point-goals")
    assert goals.name == "point-goals-v0" and goals.make_process().name == "PointNav-v0"
    reached = torch.tensor([0.3, 0.4]).expand(1, 2, 5, 2)
    earned = goals.family(torch.zeros(1, 2), reached * 0, reached * 0, reached)
    torch.testing.assert_close(earned, torch.full((1, 2, 5), -0.5))
    drawn = goals.tasks.sample_batch(rng, 1000).parameter
    assert drawn.abs().max() <= 0.5 and drawn.min() < -0.49 and drawn.max() > 0.49


def test_grid_goals_reward_is_1_in_the_goal(rng):
    goals = true_tasks("grid-goals-v0")
    reached = torch.eye(25).reshape(1, 1, 25, 25)
    assert goals.family(torch.eye(25)[7][None], reached, reached, reached)[0, 0].tolist() == [float(i == 7) for i in range(25)]
    assert sorted(goals.tasks.sample_batch(rng, 500).parameter.argmax(-1).unique().tolist()) == list(range(25))


@pytest.mark.parametrize("name", GOALS)
def test_tasks_of_the_grid_spread_over_all(name):
    goals = true_tasks(name)
    assert goals.name == name and len(goals.spread) == {"cheetah-velocity-v0": 21, "cheetah-direction-v0": 2, "grid-goals-v0": 25}.get(
        name, 100
    )
    assert len({tuple(row) for row in goals.grid.tolist()}) == len(goals.grid)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(InputError, match="did you mean 'point-goals-v0'"):
        true_tasks("point-gaols")


def test_rewards_of_the_cheetah_and_the_ant_by_hand():
    reached, action = torch.zeros(2, 1, 1, 17), torch.full((2, 1, 1, 6), 0.5)
    reached[..., 8] = 1.5
    speed, way = true_tasks("cheetah-velocity"), true_tasks("cheetah-direction")
    cost = 0.05 * 6 * 0.25
    found = speed.family(torch.tensor([[2.0], [0.5]]), reached, action, reached).flatten()
    assert found.tolist() == pytest.approx([-0.5 - cost, -1 - cost])
    assert way.family(way.grid, reached, action, reached).flatten().tolist() == pytest.approx([-1.5 - cost, 1.5 - cost])
    place = torch.tensor([3.0, 4.0, 9.0]).expand(1, 1, 1, 3)
    assert true_tasks("ant-goal").family(torch.zeros(1, 2), place, place, place).item() == -5
    assert true_tasks("ant-goal").grid.abs().max() < 2
