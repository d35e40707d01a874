"""RL2: what the memory is told, that it lasts, and that it comes back from disk."""

import pytest
import torch

from umeta.control.envs.grid.env import Grid
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.learners.rl2 import Rl2
from umeta.control.learners.shipped import load_agent, load_procedure, save_agent, save_procedure
from umeta.control.nets.recurrent import run_trial
from umeta.control.reward import RewardDistribution, RewardTasks


def in_cell(goal, observation, action, reached):
    return (reached * goal.reshape(len(goal), 1, 1, -1)).sum(-1)


def corners(n, rng):
    return torch.eye(4)[torch.randint(4, (n,), generator=rng.torch())]


SMALL = Grid(2, 2, horizon=3)


@pytest.mark.parametrize("process", [SMALL, PointNav(horizon=3)], ids=lambda one: one.name)
def test_the_memory_is_told_action_reward_and_beginnings(rng, process):
    learner = Rl2(process, n_hidden=8)
    net = learner.init(rng).modules["net"]
    tasks = RewardTasks(lambda p, s, a, s2: p.reshape(-1, 1, 1) * torch.ones(s2.shape[:-1]), torch.tensor([2.0, 3.0]))
    shown = torch.tensor([[[True, False]], [[True, True]]])
    trial = run_trial(process, net, tasks, net.empty(2, 1), shown, rng)
    told = trial.inputs[:, 0, :, process.observation.n :]
    assert told[..., -2].tolist() == [[1, 0, 0, 1, 0, 0]] * 2
    assert told[..., -1].tolist() == [[1, 1, 1, 0, 0, 0], [1] * 6]
    assert told[..., -3].tolist() == [[0, 2, 2, 2, 0, 0], [0, 3, 3, 3, 3, 3]]
    assert torch.equal(trial.inputs[:, 0, :, : process.observation.n], trial.episodes.observation.flatten(1, 2))
    assert trial.reward.unique().tolist() == [2, 3] and trial.reward.shape == (2, 1, 2, 3)
    action = process.action.clip(trial.episodes.action).flatten(1, 2)[:, :-1]
    code = torch.nn.functional.one_hot(action, 5).float() if process is SMALL else action / 0.1
    torch.testing.assert_close(told[:, 1:, :-3], code)


def test_log_probabilities_are_those_of_the_whole_sequence(rng):
    learner = Rl2(SMALL, n_hidden=8)
    net = learner.init(rng).modules["net"]
    tasks = RewardTasks(in_cell, torch.eye(4)[:3])
    trial = run_trial(SMALL, net, tasks, net.empty(3, 2), torch.ones(3, 2, 2, dtype=torch.bool), rng)
    memory = net.remember(trial.inputs.flatten(0, 1).transpose(0, 1), torch.zeros(6, 8)).transpose(0, 1)[None]
    action = trial.episodes.action.reshape(1, 6, 6)
    torch.testing.assert_close(net.policy.log_prob(net.actor.weights, memory, action)[0], trial.log_prob.flatten(0, 1))
    torch.testing.assert_close(memory[0, :, -1], trial.memory.hidden.flatten(0, 1))


def test_practice_makes_later_episodes_better_than_the_first(rng):
    learner = Rl2(SMALL, n_hidden=32, n_episode=3, n_copy=2, lr=1e-2, n_parts=1, hidden_share=0.2)
    tasks, state = RewardDistribution(in_cell, corners), learner.init(rng)
    for index in range(60):
        state, _ = learner.step(state, tasks.sample_batch(rng.fork("tasks", index), 40), rng.fork("step", index))
    procedure = learner.export(state)
    every = RewardTasks(in_cell, torch.eye(4).repeat(16, 1))
    first, *_, last = (every.rewards(SMALL, stage.run(4, rng)).sum(-1).mean().item() for stage in procedure.stages(every, rng))
    assert last > first + 0.5, (first, last)


def test_procedure_and_agent_come_back_from_disk(rng, tmp_path):
    learner = Rl2(Grid(horizon=3), n_hidden=8, n_episode=3)
    procedure = learner.export(learner.init(rng))
    save_procedure(tmp_path / "procedure", procedure)
    agent = procedure.adapt(lambda s, a, s2: s2[..., 3], rng)
    save_agent(tmp_path / "agent", agent)
    again = load_agent(tmp_path / "agent").run(2, rng)
    assert torch.equal(again.action[:, :, :3], agent.run(2, rng).action)
    assert load_procedure(tmp_path).n_episode == 2
    assert [stage.n_episode for stage in procedure.with_episodes(3).stages(RewardTasks(in_cell, torch.eye(25)), rng)] == [0, 1, 2, 3]
