"""Rewards outside of the process: batches against single tasks, clipped actions, purity."""

import torch

from umeta.control.envs.point_nav.env import PointNav
from umeta.control.nets.policy import make_policy
from umeta.control.reward import RewardDistribution, RewardTasks
from umeta.control.trajectory import rollout


def toward(goal, observation, action, reached):
    return -(reached - goal[:, None, None]).norm(dim=-1)


def episodes(rng, n_task):
    process = PointNav()
    policy = make_policy(2, process.action)
    return rollout(process, policy, policy.init(rng), n_task, 2, rng)


def test_a_batch_is_its_tasks_one_by_one(rng):
    tasks = RewardTasks(toward, torch.tensor([[0.1, 0.2], [-0.4, 0.0], [0.3, 0.3]]))
    run = episodes(rng, 3)
    together = tasks.rewards(PointNav(), run)
    for index in range(3):
        alone = tasks[index].support(run.observation[index], run.action[index], run.reached[index])
        torch.testing.assert_close(together[index], alone)
    torch.testing.assert_close(tasks[1:].rewards(PointNav(), run[1:]), together[1:])
    assert len(tasks) == 3


def test_unrelated_functions_make_a_batch(rng):
    tasks = RewardTasks.of([lambda s, a, t: t[..., 0], lambda s, a, t: a.norm(dim=-1)])
    run = episodes(rng, 2)
    earned = tasks.rewards(PointNav(), run)
    torch.testing.assert_close(earned[0], run.reached[0, ..., 0])
    clipped = run.action[1].clamp(-0.1, 0.1).norm(dim=-1)
    torch.testing.assert_close(earned[1], clipped)
    assert clipped.max() < run.action[1].norm(dim=-1).max()


def test_a_distribution_is_a_pure_function_of_its_stream(rng):
    tasks = RewardDistribution(toward, lambda n, stream: torch.rand(n, 2, generator=stream.torch()))
    assert torch.equal(tasks.sample_batch(rng, 4).parameter, tasks.sample_batch(rng, 4).parameter)
    assert not torch.equal(tasks.sample_batch(rng, 4).parameter, tasks.sample_batch(rng.fork("b"), 4).parameter)
    run = episodes(rng, 1)
    one = tasks.sample(rng).query(run.observation[0], run.action[0], run.reached[0])
    torch.testing.assert_close(one, tasks.sample_batch(rng, 1).rewards(PointNav(), run)[0])
