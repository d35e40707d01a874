"""Rollouts: what follows what, purity, conditions, ends of episodes."""

from dataclasses import dataclass

import pytest
import torch
from gymnasium.envs.classic_control import PendulumEnv

from umeta.control.envs.grid.env import Grid
from umeta.control.envs.gymnasium_process import GymnasiumProcess
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.nets.policy import make_policy
from umeta.control.process import EVERY, Box
from umeta.control.trajectory import Rollout, Trajectories, conditioned, rollout


def test_each_step_begins_where_the_last_one_ended_and_acts_count(rng):
    process = PointNav()
    policy = make_policy(2, process.action)
    episodes = rollout(process, policy, policy.init(rng), 3, 4, rng)
    assert episodes.observation.shape == (3, 4, 50, 2)
    assert torch.equal(episodes.observation[:, :, 1:], episodes.reached[:, :, :-1])
    moved = (episodes.observation + process.action.clip(episodes.action)).clamp(-0.5, 0.5)
    torch.testing.assert_close(moved, episodes.reached)
    assert episodes.n_steps_taken == 3 * 4 * 50


def test_a_rollout_is_a_pure_function_of_its_stream(rng):
    process = PointNav()
    policy = make_policy(2, process.action)
    weights = policy.init(rng)
    first, again = (rollout(process, policy, weights, 2, 2, rng) for _ in range(2))
    other = rollout(process, policy, weights, 2, 2, rng.fork("other"))
    assert torch.equal(first.action, again.action)
    assert not torch.equal(first.action, other.action)


def test_the_policy_sees_the_condition_of_its_own_task(rng):
    process = PointNav()
    policy = make_policy(3, process.action)
    weights = {name: torch.zeros_like(value) for name, value in policy.init(rng).items()}
    weights["w0"][0, 2, 0] = weights["w1"][0, 0, 0] = weights["w2"][0, 0, 0] = 10.0
    weights["log_std"] = weights["log_std"] - 6
    episodes = rollout(process, policy, weights, 2, 1, rng, condition=torch.tensor([[1.0], [-1.0]]))
    assert episodes.reached[0, 0, -1, 0] > 0.49 and episodes.reached[1, 0, -1, 0] < -0.49
    assert conditioned(episodes.observation, torch.tensor([[1.0], [-1.0]]))[1, 0, 5].tolist()[2] == -1.0


class Parted:
    """A process whose episodes are run in parts, as many as it is told."""

    def __init__(self, process, n_part):
        self.process, self.n_part, self.asked = process, n_part, []

    def __getattr__(self, name):
        return getattr(self.process, name)

    def collect(self, wanted):
        self.asked = [wanted.portion(rank, self.n_part) for rank in range(self.n_part)]
        return Trajectories.joined([part.run(self.process) for part in self.asked])


@pytest.mark.parametrize("process", [PointNav(), Grid(slip=0.3), GymnasiumProcess("Pendulum", PendulumEnv, horizon=7)])
@pytest.mark.parametrize("n_task", [5, 16])
def test_episodes_run_in_parts_have_the_same_bits(rng, process, n_task):
    skills = torch.randn(n_task, 4, generator=rng.torch())
    policy = make_policy(process.observation.n, process.action)
    told = make_policy(process.observation.n + 4, process.action)
    own = {
        name: value.expand(n_task, *value.shape[1:]) * torch.rand(n_task, *(1,) * (value.ndim - 1))
        for name, value in policy.init(rng).items()
    }
    for given, condition in ((own, None), (told.init(rng), skills)):
        acting = policy if condition is None else told
        whole = rollout(process, acting, given, n_task, 3, rng, condition=condition)
        for n_part in (1, 2, 3, 4):
            others = Parted(process, n_part)
            parts = rollout(others, acting, given, n_task, 3, rng, condition=condition)
            assert [len(range(n_task)[part.tasks]) for part in others.asked] == [
                n_task * (rank + 1) // n_part - n_task * rank // n_part for rank in range(n_part)
            ]
            for name in ("observation", "action", "reached", "alive"):
                assert torch.equal(getattr(parts, name), getattr(whole, name)), (n_part, name)


def test_a_part_carries_nothing_of_other_tasks(rng):
    policy = make_policy(2, PointNav().action)
    many = {name: value.repeat(8, *(1,) * (value.ndim - 1)).requires_grad_() for name, value in policy.init(rng).items()}
    part = Rollout(policy, many, 8, 2, rng).portion(1, 4)
    for name, value in part.weights.items():
        assert torch.equal(value, many[name][2:4]) and not value.requires_grad
        assert value.untyped_storage().nbytes() == many[name].untyped_storage().nbytes() // 4


def test_some_tasks_can_be_taken(rng):
    process = PointNav()
    policy = make_policy(2, process.action)
    episodes = rollout(process, policy, policy.init(rng), 3, 2, rng)
    assert torch.equal(episodes[1:].action, episodes.action[1:])


@dataclass
class Running:
    observation: torch.Tensor
    step_number: int = 0

    def step(self, action):
        self.step_number += 1
        return self.observation, torch.tensor([[self.step_number < 2, True]])


@dataclass(frozen=True)
class Ending:
    """A process whose first copy ends after its second step."""

    name = "Ending-v0"
    observation = Box((0.0,), (1.0,))
    action = Box((0.0,), (1.0,))
    horizon = 4
    n_feature = 1

    def feature(self, observation):
        return observation

    def start(self, n_task, n_episode, rng, tasks=EVERY):
        return Running(torch.zeros(n_task, n_episode, 1))


def test_the_last_step_of_an_episode_counts_and_none_after_it(rng):
    policy = make_policy(1, Ending.action)
    episodes = rollout(Ending(), policy, policy.init(rng), 1, 2, rng)
    assert episodes.alive.tolist() == [[[True, True, False, False], [True] * 4]]
