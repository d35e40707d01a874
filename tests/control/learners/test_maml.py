"""MAML: the meta-gradient against finite differences, the public contract, and a bandit-like task that it learns to learn."""

from dataclasses import replace

import pytest
import torch

from umeta.control.envs.grid.env import Grid
from umeta.control.envs.point_nav.env import PointNav
from umeta.control.learners.inner import InnerLoop, of_every_task
from umeta.control.learners.maml import Maml
from umeta.control.nets.policy import CategoricalPolicy, mlp
from umeta.control.reward import RewardDistribution
from umeta.core.loop import Pace, meta_train

POINT = PointNav(horizon=6)


def along(direction, observation, action, reached):
    return (reached * direction[:, None, None]).sum(-1)


def directions(n, rng):
    angle = torch.rand(n, generator=rng.torch()) * 6.2832
    return torch.stack([angle.cos(), angle.sin()], -1)


TASKS = RewardDistribution(along, directions)


FREE = RewardDistribution(lambda w, s, a, t: (t * w[:, None, None]).sum(-1), lambda k, r: torch.randn(k, 4, generator=r.torch()))


def in_double(weights):
    return {name: value.detach().double() for name, value in weights.items()}


def doubled(judged):
    fields = {name: value for name, value in vars(judged.episodes).items() if value.is_floating_point()}
    episodes = replace(judged.episodes, **in_double(fields))
    return replace(judged, advantage=judged.advantage.double(), log_prob=judged.log_prob.double(), episodes=episodes)


@pytest.mark.parametrize("first_order", [False, True])
def test_the_meta_gradient_is_that_of_the_adapted_objective(rng, first_order):
    learner = Maml(POINT, InnerLoop(lr=0.7, n_episode=3, first_order=first_order), kl_weight=0.1)
    state = learner.init(rng)
    tasks = TASKS.sample_batch(rng, 2)
    judged = learner._practice(state.modules["policy"].weights, learner._rates(state), tasks, rng)
    judged = [doubled(one) for one in judged]
    rates = {name: torch.tensor(0.7).double() for name in learner._rates(state)}
    shared = {name: value.requires_grad_() for name, value in in_double(state.modules["policy"].weights).items()}
    loss = learner._outer_loss(shared, rates, judged)
    gradients = dict(zip(shared, torch.autograd.grad(loss, list(shared.values())), strict=True))
    step, wrong = 1e-5, []
    for name, index in (("w0", (0, 1, 3)), ("b1", (0, 5)), ("w2", (0, 7, 1)), ("log_std", (0, 0))):
        values = []
        for sign in (1, -1):
            moved = {key: value.detach().clone() for key, value in shared.items()}
            moved[name][index] += sign * step
            values.append(learner._outer_loss({key: value.requires_grad_() for key, value in moved.items()}, rates, judged).item())
        slope = (values[0] - values[1]) / (2 * step)
        wrong.append(abs(gradients[name][index].item() - slope) / max(abs(slope), 1e-3))
    assert (max(wrong) > 0.01) if first_order else (max(wrong) < 1e-3), wrong


@pytest.mark.parametrize("process", [POINT, Grid(3, 3)], ids=lambda one: one.name)
@pytest.mark.parametrize("learn_rates", [False, True])
def test_a_trust_region_is_kept_and_gains(rng, process, learn_rates):
    n = process.observation.n
    tasks = RewardDistribution(FREE.family, lambda k, r: torch.randn(k, n, generator=r.torch()))
    learner = Maml(process, InnerLoop(lr=0.3, n_episode=6, n_steps=2), learn_rates=learn_rates, outer="trpo", max_kl=0.004)
    state, batch = learner.init(rng), tasks.sample_batch(rng, 5)
    net = state.modules["policy"]
    judged = learner._practice(net.weights, learner._rates(state), batch, rng)
    last = judged[-1].episodes

    def adapted():
        return learner._adapted(net.weights, learner._rates(state), judged, differentiable=False)[-1]

    def gain():
        ratio = (learner.policy.log_prob(adapted(), last.observation, last.action) - judged[-1].log_prob).exp()
        return (ratio * judged[-1].advantage).mean().item()

    old, before = adapted(), gain()
    returned = learner._by_trust_region(state, net, judged)
    moved = learner.policy.divergence(old, adapted(), last.observation).mean().item()
    assert returned == pytest.approx(-before, abs=1e-5)
    assert gain() > before + 1e-3 and 0.001 < moved <= 0.004 + 1e-6, (before, gain(), moved)


def test_the_step_of_a_trust_region_is_the_exact_one_of_a_small_network(rng, monkeypatch):
    """The Fisher matrix written out: outer products of the slopes of each mean, through the inner step, solved exactly."""
    monkeypatch.setattr(Maml, "policy", property(lambda self: CategoricalPolicy(4, 5, (2,))))
    learner = Maml(Grid(2, 2, horizon=3), InnerLoop(lr=0.5, n_episode=3), outer="trpo", max_kl=1e-4)
    state = learner.init(rng)
    net, tasks = state.modules["policy"], FREE.sample_batch(rng, 3)
    judged = [doubled(one) for one in learner._practice(net.weights, learner._rates(state), tasks, rng)]
    net.double()
    leaves, last = list(net.parameters()), judged[-1].episodes
    start = torch.cat([leaf.detach().flatten() for leaf in leaves])
    log_p = mlp(learner._adapted(net.weights, learner._rates(state), judged)[-1], last.observation).log_softmax(-1)
    fisher = torch.zeros(len(start), len(start), dtype=torch.float64)
    for one in log_p.reshape(-1, 5):
        for choice in one:
            slope = torch.cat([g.flatten() for g in torch.autograd.grad(choice, leaves, retain_graph=True)])
            fisher += choice.exp().detach() * torch.outer(slope, slope) / log_p[..., 0].numel()
    ratio = log_p.gather(-1, last.action[..., None])[..., 0]
    gain = ((ratio - ratio.detach()).exp() * judged[-1].advantage).mean()
    slopes = torch.cat([g.flatten() for g in torch.autograd.grad(gain, leaves)])
    natural = torch.linalg.solve(fisher + 1e-5 * torch.eye(len(start)), slopes)
    learner._by_trust_region(state, net, judged)
    step = torch.cat([leaf.detach().flatten() for leaf in leaves]) - start
    assert (0.5 * step @ fisher @ step).item() == pytest.approx(1e-4, rel=0.4)
    cosine = torch.dot(fisher @ step, natural) / ((step @ fisher @ step) * (natural @ fisher @ natural)).sqrt()
    assert cosine > 0.95, cosine


def test_practice_and_outer_loss_take_the_same_inner_step(rng):
    learner = Maml(POINT, InnerLoop(lr=0.5, n_episode=4))
    state = learner.init(rng)
    tasks = TASKS.sample_batch(rng, 3)
    shared, rates = state.modules["policy"].weights, learner._rates(state)
    judged = learner._practice(shared, rates, tasks, rng)
    adapted = learner.inner.step(learner.policy, of_every_task(shared, 3), judged[0], rates, differentiable=True)
    log_prob = learner.policy.log_prob(adapted, judged[1].episodes.observation, judged[1].episodes.action)
    torch.testing.assert_close(log_prob, judged[1].log_prob, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("process", [POINT, Grid(3, 3)], ids=lambda one: one.name)
@pytest.mark.parametrize("learn_rates", [False, True])
def test_init_step_and_export_keep_the_contract(rng, process, learn_rates):
    n = process.observation.n
    tasks = RewardDistribution(lambda w, s, a, t: (t * w[:, None, None]).sum(-1), lambda k, r: torch.randn(k, n, generator=r.torch()))
    learner = Maml(process, InnerLoop(n_episode=2), n_outer_steps=2, learn_rates=learn_rates)
    state, twin = learner.init(rng), learner.init(rng)
    for index in range(2):
        batch = tasks.sample_batch(rng.fork("tasks", index), 3)
        state, metrics = learner.step(state, batch, rng.fork("step", index))
        twin, same = learner.step(twin, batch, rng.fork("step", index))
        assert metrics == same
    assert all(torch.equal(value, twin.tensors()[name]) for name, value in state.tensors().items())
    fresh = learner.init(rng.fork("elsewhere"))
    fresh.load_tensors({name: value.clone() for name, value in state.tensors().items()})
    exported = learner.export(state)
    kept = {name: value.clone() for name, value in exported.tensors().items()}
    batch = tasks.sample_batch(rng, 3)
    state, _ = learner.step(state, batch, rng)
    fresh, _ = learner.step(fresh, batch, rng)
    assert all(torch.equal(value, fresh.tensors()[name]) for name, value in state.tensors().items())
    assert all(torch.equal(value, exported.tensors()[name]) for name, value in kept.items())
    assert any(not torch.equal(value, learner.export(state).tensors()[name]) for name, value in kept.items())
    assert bool(exported.rates) == learn_rates


def test_it_learns_to_follow_directions_after_one_step(rng):
    learner = Maml(POINT, InnerLoop(n_episode=8, lr=0.3), outer_lr=1e-2, n_adapt_steps=1, n_adapt_episodes=20)
    tasks = TASKS.sample_batch(rng.fork("test"), 20)

    def gain(procedure):
        before, after = (
            tasks.rewards(POINT, stage.run(20, rng)).sum(-1).mean().item() for stage in procedure.stages(tasks, rng.fork("adapt"))
        )
        return after - before

    fresh = gain(learner.export(learner.init(rng.fork("init"))))
    learned = gain(meta_train(learner, TASKS, meta_batch_size=20, pace=Pace(n_steps=25), rng=rng))
    assert learned > fresh + 0.3, (fresh, learned)
