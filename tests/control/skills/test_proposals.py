"""VIC, VALOR, SMM, DADS, METRA: what every objective keeps, and each one's own idea on trajectories made by hand."""

import math

import pytest
import torch

from umeta.control.envs.grid.env import Grid
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.reward import RewardTasks
from umeta.control.skills.catalog import OBJECTIVES
from umeta.control.skills.continuous import evenly_in_cube, evenly_on_sphere, told_from_batch
from umeta.control.skills.dads import Dads
from umeta.control.skills.discovery import SkillDiscovery
from umeta.control.skills.metra import Metra
from umeta.control.skills.smm import Smm
from umeta.control.skills.valor import Valor
from umeta.control.skills.vic import Vic, in_proportion
from umeta.control.trajectory import Trajectories

MADE = [Vic(4), Valor(4, n_states=4), Smm(4, n_component=2), Dads(n_others=3), Metra(), Metra(3, discrete=True)]


def straight(direction: torch.Tensor, n_step: int = 6) -> Trajectories:
    """Return two episodes of each task that go from the middle along its direction, [n_task, 2]."""
    times = torch.arange(n_step + 1)[:, None] * 0.08
    states = (direction[:, None, None] * times).expand(-1, 2, -1, -1)
    action = torch.zeros(len(direction), 2, n_step, 2)
    return Trajectories(states[:, :, :-1], action, states[:, :, 1:], torch.ones(len(direction), 2, n_step, dtype=torch.bool))


CROSS = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])


def fitted(objective, episodes, skill, rng, n=150, lr=0.02):
    process = PointNav(horizon=episodes.alive.shape[-1])
    model = objective.model(process, rng)
    adam = torch.optim.Adam(model.parameters(), lr)
    for _ in range(n):
        loss = objective.loss(model, process, episodes, skill)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return model, process


@pytest.mark.parametrize("objective", MADE, ids=lambda one: f"{type(one).__name__}-{one.n_condition}")
@pytest.mark.parametrize("process", [PointNav(horizon=4), Grid(horizon=4)], ids=lambda one: one.name)
def test_every_objective_finds_skills_with_either_kind_of_action_and_comes_back_from_its_tensors(rng, objective, process):
    discovery = SkillDiscovery(process, objective, n_skill=4, n_episode=4)
    state = discovery.init(rng)
    before = {name: value.clone() for name, value in state.modules["model"].state_dict().items()}
    state, metrics = discovery.step(state, rng)
    assert math.isfinite(metrics["loss"]) and math.isfinite(metrics["information"])
    assert any(not torch.equal(value, before[name]) for name, value in state.modules["model"].state_dict().items())
    skills = discovery.export(state)
    tasks = skills.tasks.sample_batch(rng, 4)
    episodes = skills.run(objective.draw(skills.model, 4, rng), 2, rng)
    rewards = tasks.rewards(process, episodes)
    assert rewards.shape == (4, 2, 4) and not rewards.requires_grad
    again = discovery.restore(skills.tensors())
    assert torch.equal(again.tasks.sample_batch(rng, 4).rewards(process, episodes), rewards)


def test_every_objective_has_a_name():
    assert {type(one) for one in MADE} <= set(OBJECTIVES.values())


def test_a_prior_is_followed_as_closely_as_whole_numbers_allow(rng):
    drawn = in_proportion(torch.tensor([0.5, 0.25, 0.25, 0.0]), 8, rng)
    assert drawn.sum(0).tolist() == [4, 2, 2, 0]
    assert not torch.equal(drawn, in_proportion(torch.tensor([0.5, 0.25, 0.25, 0.0]), 8, rng.fork("b")))


def test_vic_pays_what_the_end_tells_and_drops_an_option_that_ends_like_another(rng):
    ends = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, 1]])
    episodes, skill = straight(ends), torch.eye(4)
    model, process = fitted(Vic(4), episodes, skill, rng)
    rewards = Vic(4).reward(model, process, episodes, skill)
    log_q = model(process.feature(torch.stack([episodes.reached[:, :, -1], episodes.observation[:, :, 0]]))).log_softmax(-1)
    own = torch.stack([log_q[:, z, :, z] for z in range(4)], 1)
    torch.testing.assert_close(rewards.sum(-1), own[0] - own[1])
    # The best prior gives each end a third.
    assert model.log_prior.exp().tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6], abs=0.01)
    assert Vic(4).measure(model, process, episodes, skill)["options"] < 3.9


def test_valor_tells_skills_by_where_they_went_although_they_end_alike(rng):
    out = straight(CROSS)
    states = torch.cat([out.observation, out.observation.flip(2)], 2)
    turned = Trajectories(states[:, :, :-1], torch.zeros(4, 2, 11, 2), states[:, :, 1:], torch.ones(4, 2, 11, dtype=torch.bool))
    objective = Valor(4, n_first=4, n_states=5)
    model, process = fitted(objective, turned, torch.eye(4), rng)
    found = objective.measure(model, process, turned, torch.eye(4))
    assert found["accuracy"] == 1 and found["information"] > 1.2
    rewards = objective.reward(model, process, turned, torch.eye(4))
    torch.testing.assert_close(rewards, rewards[..., :1].expand(4, 2, 11))
    assert rewards.sum(-1).exp().min() > 0.8


def test_valor_takes_more_skills_into_use_once_those_in_use_are_told_apart(rng):
    objective = Valor(8)
    model = objective.model(PointNav(horizon=4), rng)
    assert objective.draw(model, 8, rng).sum(0).tolist() == [4, 4, 0, 0, 0, 0, 0, 0]
    for _ in range(40):
        model.grow(math.log(0.8), 8)
    assert int(model.n_active) == 2
    for _ in range(80):
        model.grow(math.log(0.99), 8)
    assert int(model.n_active) == 8
    assert torch.isfinite(model(torch.zeros(1, 22))).all()
    unused = objective.model(PointNav(horizon=4), rng)(torch.randn(5, 22, generator=rng.torch()))
    torch.testing.assert_close(unused[:, :2].exp().sum(-1), torch.ones(5))


def test_smm_rewards_states_that_a_skill_has_not_visited_and_tells_apart_for_its_tasks(rng):
    objective, skill = Smm(4, n_component=2), torch.eye(4)
    model, process = fitted(objective, straight(CROSS), skill, rng)
    usual = objective.reward(model, process, straight(CROSS), skill).mean()
    further = objective.reward(model, process, straight(1.5 * CROSS), skill)[..., -1].mean()
    assert further > usual + 1
    tasks = objective.family(model, process)
    way = straight(CROSS)
    own = tasks(skill, way.observation, way.action, way.reached)[..., -1]
    others = tasks(skill.roll(1, 0), way.observation, way.action, way.reached)[..., -1]
    assert own.min() > -0.5 and others.max() < own.min() - 1


def test_the_density_of_a_skill_is_a_mixture_by_hand(rng):
    model = Smm(2, n_component=2).model(PointNav(), rng)
    with torch.no_grad():
        model.center.copy_(torch.tensor([[[0.0, 0], [1, 0]], [[0, 0], [0, 0]]]))
        model.log_std.fill_(math.log(0.4))
    feature = torch.tensor([0.0, 0.5]).expand(2, 1, 1, 2)
    one = [math.exp(-0.5 * (x * x + 1)) / (2 * math.pi * 0.25) for x in (0, 2)]
    found = model.log_density(torch.eye(2), feature).flatten()
    assert found.tolist() == pytest.approx([math.log(sum(one) / 2), math.log(one[0])], abs=1e-5)


def test_dads_rewards_going_where_only_this_skill_is_expected(rng):
    objective, skill = Dads(n_others=8), evenly_in_cube(16, 2, rng)
    episodes = straight(skill)
    model, process = fitted(objective, episodes, skill, rng, n=300)
    own = objective.reward(model, process, episodes, skill)
    others = objective.reward(model, process, straight(-skill), skill)
    assert own.mean() > 0.7 and own.max() <= math.log(9) + 1e-5 and others.mean() < 0


def test_dads_is_as_unsure_as_changes_are_large_and_so_tells_small_steps_apart_at_once(rng):
    """A spread that Adam learns at the network's rate starts far above any step, and needs thousands of updates to come down to it."""
    objective, episodes = Dads(n_others=8), straight(0.5 * CROSS)
    process = PointNav(horizon=6)
    model = objective.model(process, rng)
    objective.loss(model, process, episodes, CROSS)
    assert model.spread.tolist() == pytest.approx([0.08 / math.sqrt(2)] * 2)
    model.follow(torch.zeros(3, 2))
    assert model.spread.tolist() == pytest.approx([(0.95 * 0.08 + 0.05 * 0.001 * math.sqrt(2)) / math.sqrt(2)] * 2)
    model, process = fitted(objective, episodes, CROSS, rng, n=60)
    assert objective.measure(model, process, episodes, CROSS)["information"] > 0.3


def test_dads_makes_tasks_of_places_and_pays_for_what_its_prediction_takes_for_a_step_away(rng):
    objective, episodes = Dads(n_others=3), straight(CROSS)
    model, process = fitted(objective, episodes, CROSS, rng, n=30)
    places = objective.draw_tasks(model, 200, rng)
    passed = torch.cat([episodes.observation[:, 0, :1], episodes.reached[:, 0]], 1).flatten(0, 1) * 2
    assert torch.cdist(places, passed).amin(-1).max() < 1e-6 and len(places.unique(dim=0)) > 20
    place = torch.tensor([[0.48, 0.0]])
    earned = RewardTasks(objective.family(model, process), place).rewards(process, episodes[torch.tensor([0])])[0, 0]
    feature = process.feature(episodes.reached[0, 0])
    oracle = []
    for state in feature:
        ways = []
        for skill in model.others:
            mean = model.net(torch.cat([state, skill])[None, None, None])[0, 0, 0] * model.spread
            ways.append(torch.distributions.Normal(state + mean, model.spread).log_prob(place[0]).sum().exp())
        oracle.append(torch.stack(ways).mean().log())
    torch.testing.assert_close(earned, torch.stack(oracle).detach(), rtol=1e-4, atol=1e-3)
    assert int(earned.argmax()) in {1, 2, 3}


def test_metra_has_steps_of_length_1_at_most_and_rewards_the_way_along_a_skill(rng):
    objective, skill = Metra(price=5.0), CROSS
    model, process = fitted(objective, straight(CROSS), skill, rng, n=250)
    rewards = objective.reward(model, process, straight(CROSS), skill)
    assert 0.5 < rewards.mean() < 1.05
    against = objective.reward(model, process, straight(-CROSS), skill)
    assert against.mean() < -0.5
    assert objective.measure(model, process, straight(CROSS), skill)["information"] > 1


def test_metra_makes_tasks_of_places_along_the_whole_way_and_pays_for_being_there(rng):
    """Skills are at the wall after six of fifty steps and stay; places are no less spread over the way there."""
    objective, n_step = Metra(), 50
    steps = torch.arange(n_step + 1).clamp_max(6)[:, None] * 0.08
    states = (CROSS[:, None, None] * steps).expand(-1, 2, -1, -1)
    episodes = Trajectories(states[:, :, :-1], torch.zeros(4, 2, n_step, 2), states[:, :, 1:], torch.ones(4, 2, n_step, dtype=torch.bool))
    process = PointNav(horizon=n_step)
    model = objective.model(process, rng)
    objective.loss(model, process, episodes, CROSS)
    places = objective.draw_tasks(model, 2000, rng)
    far = (places * 0.5).norm(dim=-1) / 0.48
    assert torch.bincount((far * 6).round().long(), minlength=7)[1:].min() > 0.1 * len(places)
    tasks = RewardTasks(objective.family(model, process), process.feature(torch.tensor([[0.16, 0.0], [0.48, 0.0]])))
    earned = tasks.rewards(process, episodes[torch.tensor([0, 0])])
    assert earned[:, 0].argmax(-1).tolist() == [1, 5] and abs(earned.max()) < 1e-6
    by_hand = model(process.feature(torch.tensor([[0.08, 0.0], [0.16, 0.0]])))
    assert earned[0, 0, 0].item() == pytest.approx(-(by_hand[0] - by_hand[1]).norm().item(), abs=1e-5)


def test_discrete_skills_of_metra_are_centered(rng):
    assert Metra(3, discrete=True).draw(torch.nn.Identity(), 3, rng).sum(0).abs().max() < 1e-6
    assert Metra(3, discrete=True).draw(torch.nn.Identity(), 3, rng).max().item() == pytest.approx(1)


@pytest.mark.parametrize("n_dim", [1, 2, 3])
def test_vectors_are_drawn_evenly(rng, n_dim):
    cube, sphere = evenly_in_cube(64, n_dim, rng), evenly_on_sphere(64, n_dim, rng)
    assert cube.abs().max() <= 1 and cube.mean(0).abs().max() < 0.08
    torch.testing.assert_close(sphere.norm(dim=-1), torch.ones(64))
    assert sphere.mean(0).norm() < 0.15


def test_scores_of_a_batch_bound_the_information_by_hand():
    score = torch.tensor([[[0.0, math.log(3)]], [[0.0, 0.0]]])
    assert told_from_batch(score).item() == pytest.approx(math.log(2) + (math.log(0.25) + math.log(0.5)) / 2)
