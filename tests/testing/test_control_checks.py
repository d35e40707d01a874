"""Our own processes and rewards keep their contract, and the checks are seen to fail on ones that break just one rule."""

from dataclasses import replace

import pytest
import torch

from umeta.benchmarks.goals import true_tasks
from umeta.control.envs.catalog import make_process
from umeta.control.envs.grid.env import Grid
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.process import EVERY
from umeta.control.reward import RewardDistribution
from umeta.testing import check_process, check_reward_distribution


@pytest.mark.parametrize("name", ["PointNav-v0", "PointWalls-v0", "Grid-v0", "Pendulum-v1"])
def test_our_processes(name):
    if name.startswith("Pendulum"):
        pytest.importorskip("gymnasium")
    check_process(make_process(name))


def test_a_grid_on_which_walkers_slip():
    check_process(Grid(4, 3, slip=0.3))


@pytest.mark.parametrize("name", ["point-goals", "point-walls", "grid-goals"])
def test_our_rewards(name):
    truth = true_tasks(name)
    check_reward_distribution(truth.tasks, truth.make_process())


class SpoiledRunning:
    def __init__(self, running, spoil):
        self.running, self.spoil, self.observation = running, spoil, running.observation

    def step(self, action):
        self.observation, alive = self.spoil(*self.running.step(action))
        return self.observation, alive


def spoiled(spoil=lambda position, alive: (position, alive), **attributes):
    """Return the arena with its steps' results changed, or with other attributes."""

    class Arena:
        def __getattr__(self, name):
            return attributes[name] if name in attributes else getattr(PointNav(), name)

        def start(self, n_task, n_episode, rng, tasks=EVERY):
            return SpoiledRunning(PointNav().start(n_task, n_episode, rng, tasks), spoil)

    return Arena()


TIMES = iter(range(10**6))

BROKEN = {
    "the horizon is 0": spoiled(horizon=0),
    "a process has no reward": spoiled(reward=lambda *_: 0),
    "two different episodes": spoiled(lambda position, alive: (position + 1e-6 * next(TIMES), alive)),
    "leaves its bounds": spoiled(lambda position, alive: (position + 3, alive)),
    "an observation has shape": spoiled(lambda position, alive: (position[..., :1], alive)),
    "not finite float32": spoiled(lambda position, alive: (position / 0 * 0, alive)),
    "one bool for each copy": spoiled(lambda position, alive: (position, alive.float())),
    "copy whose episode has ended moved": spoiled(lambda position, alive: (position, torch.zeros_like(alive))),
    "features have shape": spoiled(n_feature=3),
    "depends on the others": spoiled(feature=lambda observation: observation - observation.mean()),
}


@pytest.mark.parametrize("words", BROKEN)
def test_a_process_that_breaks_one_rule(words):
    with pytest.raises(AssertionError, match=words):
        check_process(BROKEN[words])


def test_a_task_alone_must_have_the_episodes_that_it_has_among_others():
    class Numbered(PointNav):
        def start(self, n_task, n_episode, rng, tasks=EVERY):
            running = super().start(n_task, n_episode, rng, tasks)
            running.observation = running.observation + 0.01 * torch.arange(len(running.observation))[:, None, None]
            return running

    with pytest.raises(AssertionError, match="some tasks alone have other episodes than among all"):
        check_process(Numbered())


def test_actions_must_be_clipped():
    class Free(PointNav):
        def start(self, n_task, n_episode, rng, tasks=EVERY):
            running = super().start(n_task, n_episode, rng, tasks)
            object.__setattr__(running, "step", lambda action: self.drift(running, action))
            return running

        def drift(self, running, action):
            running.observation = running.observation + (1e-9 * action).clamp(-1e-3, 1e-3)
            return running.observation, torch.ones(action.shape[:2], dtype=torch.bool)

    with pytest.raises(AssertionError, match="beyond the bounds are not clipped"):
        check_process(Free())


BROKEN_REWARDS = {
    "a reward is not finite": lambda tasks: replace(tasks, family=lambda *given: tasks.family(*given) / 0),
    "rewards have shape": lambda tasks: replace(tasks, family=lambda *given: tasks.family(*given)[..., :1]),
    "two streams gave the same": lambda tasks: RewardDistribution(tasks.family, lambda n, rng: torch.zeros(n, 2)),
    "two different batches": lambda tasks: RewardDistribution(tasks.family, lambda n, rng: torch.full((n, 2), 0.1 * next(TIMES))),
    "a task alone": lambda tasks: replace(tasks, family=lambda *given: tasks.family(*given) - tasks.family(*given).mean()),
}


@pytest.mark.parametrize("words", BROKEN_REWARDS)
def test_rewards_that_break_one_rule(words):
    with pytest.raises(AssertionError, match=words):
        check_reward_distribution(BROKEN_REWARDS[words](true_tasks("point-goals").tasks), PointNav())
