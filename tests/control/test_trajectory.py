"""Rollouts: what follows what, purity, conditions, ends of episodes."""

from dataclasses import dataclass

import torch

from umeta.control.envs.point_nav.env import PointNav
from umeta.control.nets.policy import make_policy
from umeta.control.process import Box
from umeta.control.trajectory import conditioned, rollout


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

    def start(self, n_task, n_episode, rng):
        return Running(torch.zeros(n_task, n_episode, 1))


def test_the_last_step_of_an_episode_counts_and_none_after_it(rng):
    policy = make_policy(1, Ending.action)
    episodes = rollout(Ending(), policy, policy.init(rng), 1, 2, rng)
    assert episodes.alive.tolist() == [[[True, True, False, False], [True] * 4]]
