"""Gradient procedures: steps by hand, batches against single tasks, purity, the skills as a start."""

from dataclasses import replace

import pytest
import torch

from umeta.control.envs.grid.env import Grid
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.learners.gradient import GradientProcedure, PolicyAgent, SkillProcedure
from umeta.control.learners.inner import InnerLoop, apart
from umeta.control.reward import RewardTasks
from umeta.control.skills.diayn import Diayn
from umeta.control.skills.discovery import SkillDiscovery

POINT = PointNav(horizon=10)


def right(observation, action, reached):
    return reached[..., 0]


def up(observation, action, reached):
    return reached[..., 1]


def procedure(rng, **settings):
    return GradientProcedure.from_scratch(POINT, InnerLoop(lr=2.0, n_steps=3, n_episode=10, **settings), rng)


def test_a_step_is_reinforce_with_standardized_advantages(rng):
    scratch = procedure(rng)
    tasks = RewardTasks.of([right])
    inner = scratch.inner
    judged = inner.run(POINT, scratch.policy, scratch.weights, tasks, 10, rng)
    rates = {name: torch.tensor(0.5) for name in scratch.weights}
    moved = inner.step(scratch.policy, apart(scratch.weights), judged, rates, differentiable=False)
    weights = apart(scratch.weights)
    log_prob = scratch.policy.log_prob(weights, judged.episodes.observation, judged.episodes.action)
    assert judged.advantage.mean().abs() < 1e-5 and judged.advantage.std() == pytest.approx(1, abs=0.02)
    slopes = torch.autograd.grad((log_prob * judged.advantage).mean(), list(weights.values()))
    for name, slope in zip(weights, slopes, strict=True):
        torch.testing.assert_close(moved[name], weights[name] + 0.5 * slope, atol=1e-5, rtol=1e-4)


def test_each_task_of_a_batch_follows_its_own_reward(rng):
    scratch = procedure(rng)
    tasks = RewardTasks.of([right, up])
    stages = list(scratch.stages(tasks, rng))
    assert [stage.n_episode for stage in stages] == [0, 10, 20, 30]
    ends = stages[-1].run(50, rng).reached[:, :, -1].mean(1)
    start = stages[0].run(50, rng).reached[:, :, -1].mean(1)
    assert (ends - start)[0, 0] > 0.15 and (ends - start)[1, 1] > 0.15
    assert ends[0, 0] > ends[1, 0] and ends[1, 1] > ends[0, 1]


@pytest.mark.parametrize("process", [POINT, Grid()], ids=lambda one: one.name)
def test_adapt_is_pure_and_leaves_the_procedure_as_it_was(rng, process):
    scratch = GradientProcedure.from_scratch(process, InnerLoop(lr=1.0, n_steps=2, n_episode=4), rng)
    before = {name: value.clone() for name, value in scratch.tensors().items()}
    first, again = scratch.adapt(right, rng), scratch.adapt(right, rng)
    assert all(torch.equal(first.weights[name], again.weights[name]) for name in first.weights)
    assert any(not torch.equal(first.weights[name], scratch.weights[name]) for name in first.weights)
    assert all(torch.equal(before[name], value) for name, value in scratch.tensors().items())
    assert first.act(process.start(1, 3, rng).observation[0]).shape[0] == 3


def test_episodes_asked_for_become_steps(rng):
    scratch = procedure(rng)
    assert [scratch.with_episodes(n).inner.n_steps for n in (1, 10, 39)] == [1, 1, 3]


def test_a_procedure_and_an_agent_come_back_from_their_tensors(rng):
    scratch = replace(procedure(rng), process=PointNav())
    scratch = replace(scratch, rates={name: torch.full_like(value, 0.1) for name, value in scratch.weights.items()})
    again = GradientProcedure.restore(scratch.describe(), scratch.tensors())
    agents = [one.adapt(right, rng) for one in (scratch, again)]
    assert all(torch.equal(agents[0].weights[name], agents[1].weights[name]) for name in agents[0].weights)
    agent = PolicyAgent.restore(agents[0].describe(), agents[0].tensors())
    assert torch.equal(agent.run(2, rng).action, agents[0].run(2, rng).action)


def test_the_best_skill_is_chosen_for_each_task_and_acts_as_it_did(rng):
    discovery = SkillDiscovery(POINT, Diayn(3))
    skills = discovery.export(discovery.init(rng))
    with torch.no_grad():
        for value in skills.actor.weights.values():
            value.zero_()
        for skill, unit in ((0, 0), (1, 1)):
            skills.actor.weights["w0"][0, 2 + skill, unit] = 10
            skills.actor.weights["w1"][0, unit, unit] = 10
            skills.actor.weights["w2"][0, unit, skill] = 3
        skills.actor.weights["log_std"].fill_(-3)
    tried = SkillProcedure(skills, InnerLoop(lr=0.0, n_steps=2, n_episode=6), n_tried=3)
    stages = list(tried.stages(RewardTasks.of([up, right]), rng))
    assert [stage.n_episode for stage in stages] == [0, 6, 12]
    for stage in stages[1:]:
        ends = stage.run(4, rng).reached[:, :, -1].mean(1)
        assert ends[0, 1] > 0.45 and ends[1, 0] > 0.45
        assert ends[0, 0].abs() < 0.2 and ends[1, 1].abs() < 0.2
