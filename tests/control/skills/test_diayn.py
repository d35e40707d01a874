"""DIAYN and random discriminators: rewards by hand, and skills that come apart within a few steps."""

import math

import pytest
import torch

from umeta.control.envs.grid.env import Grid
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.skills.diayn import Diayn
from umeta.control.skills.discovery import SkillDiscovery
from umeta.control.skills.discriminator import evenly, told_apart

OBJECTIVES = [Diayn(4), Diayn(4, trained=False)]


def test_skills_are_drawn_evenly_in_a_new_order(rng):
    drawn = evenly(4, 10, rng)
    assert sorted(drawn.sum(0).tolist()) == [2, 2, 3, 3]
    assert torch.equal(drawn, evenly(4, 10, rng))
    assert not torch.equal(drawn, evenly(4, 10, rng.fork("b")))


def test_information_and_accuracy_by_hand():
    logits = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()[:, None, None].expand(2, 1, 2, 2)
    found = told_apart(logits, torch.eye(2), torch.tensor([[[True, False]], [[True, True]]]))
    assert found["information"] == pytest.approx((math.log(1.5) + 0 + 0) / 3)
    assert found["chance"] == 0.5


@pytest.mark.parametrize("objective", OBJECTIVES, ids=["trained", "random"])
@pytest.mark.parametrize("process", [PointNav(horizon=5), Grid()], ids=lambda one: one.name)
def test_the_family_is_the_log_of_a_distribution_over_skills(rng, objective, process):
    model = objective.model(process, rng)
    reached = process.start(4, 3, rng).observation[:, :, None]
    family = objective.family(model, process)
    total = sum(family(torch.eye(4)[z].expand(4, 4), reached, reached, reached).exp() for z in range(4))
    torch.testing.assert_close(total, torch.ones(4, 3, 1))


def test_the_reward_is_never_below_the_floor(rng):
    objective = Diayn(4, floor=-0.5)
    process = PointNav(horizon=5)
    family = objective.family(objective.model(process, rng), process)
    reached = torch.randn(4, 2, 3, 2, generator=rng.torch())
    assert family(torch.eye(4), reached, reached, reached).min() == -0.5


def test_skills_come_apart_and_their_tasks_reward_them(rng):
    discovery = SkillDiscovery(PointNav(horizon=20), Diayn(4), n_skill=4, n_episode=16, lr=3e-3, model_lr=3e-3)
    state = discovery.init(rng)
    for index in range(15):
        state, metrics = discovery.step(state, rng.fork("step", index))
    assert metrics["accuracy"] > 0.7 and metrics["information"] > 0.7, metrics
    skills = discovery.export(state)
    episodes = skills.run(torch.eye(4), 16, rng)
    tasks = skills.tasks.sample_batch(rng, 4)
    order = tasks.parameter.argmax(-1)
    own = tasks.rewards(skills.process, episodes[order]).mean()
    others = tasks.rewards(skills.process, episodes[order.roll(1)]).mean()
    assert own > others + 1
    again = discovery.restore(skills.tensors())
    assert torch.equal(again.run(torch.eye(4), 2, rng).action, skills.run(torch.eye(4), 2, rng).action)


def test_a_random_discriminator_has_tasks_and_learns_nothing(rng):
    discovery = SkillDiscovery(PointNav(horizon=5), Diayn(4, trained=False))
    skills = discovery.export(discovery.init(rng))
    assert len(skills.tasks.sample_batch(rng, 6)) == 6
    assert Diayn(trained=False).trained is False and Diayn().trained is True
