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
    assert goals.name == name and len(goals.spread) in (100, 25)
    assert len({tuple(row) for row in goals.grid.tolist()}) == len(goals.grid)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(InputError, match="did you mean 'point-goals-v0'"):
        true_tasks("point-gaols")
