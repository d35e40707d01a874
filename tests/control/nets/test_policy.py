"""Policies: densities against torch.distributions, tasks apart, draws by the density."""

import math

import pytest
import torch
from torch.distributions import Categorical, Normal

from umeta.control.nets.module import Net
from umeta.control.nets.policy import CategoricalPolicy, GaussianPolicy, make_policy, mlp, mlp_weights
from umeta.control.process import Box, Discrete

BOX = Box((-0.1, -2.0), (0.3, 2.0))


def of_tasks(policy, rng, n_task):
    """Return weights of which every task has its own."""
    made = [policy.init(rng.fork("task", i)) for i in range(n_task)]
    return {name: torch.cat([one[name] for one in made]) for name in made[0]}


@pytest.mark.parametrize("shared", [True, False])
def test_a_batched_network_is_each_task_network_alone(rng, shared):
    n_task = 1 if shared else 3
    made = [mlp_weights((2, 5, 4), rng.fork("task", i).torch()) for i in range(n_task)]
    weights = {name: torch.cat([one[name] for one in made]) for name in made[0]}
    inputs = torch.randn(3, 6, 7, 2, generator=rng.torch())
    out = mlp(weights, inputs)
    assert out.shape == (3, 6, 7, 4)
    for task in range(3):
        own = made[0 if shared else task]
        by_hand = torch.tanh(inputs[task] @ own["w0"][0] + own["b0"][0]) @ own["w1"][0] + own["b1"][0]
        torch.testing.assert_close(out[task], by_hand)


def test_gaussian_density_is_that_of_torch(rng):
    policy = GaussianPolicy(3, BOX, (8,), first_std=0.5)
    weights = of_tasks(policy, rng, 2)
    seen = torch.randn(2, 4, 5, 3, generator=rng.torch())
    action = policy.sample(weights, seen, policy.noise(seen.shape[:-1], rng.fork("a").torch()))
    center, half = torch.tensor([0.1, 0.0]), torch.tensor([0.2, 2.0])
    mean = mlp(weights, seen)
    expected = Normal(mean, 0.5).log_prob((action - center) / half).sum(-1)
    torch.testing.assert_close(policy.log_prob(weights, seen, action), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(policy.entropy(weights, seen), Normal(mean, 0.5).entropy().sum(-1))
    torch.testing.assert_close(policy.best(weights, seen), center + half * mean)


def test_divergences_are_those_of_torch(rng):
    seen = torch.randn(2, 4, 5, 3, generator=rng.torch())
    for policy in (GaussianPolicy(3, BOX, (8,)), CategoricalPolicy(3, 4, (8,))):
        old, new = of_tasks(policy, rng, 2), of_tasks(policy, rng.fork("new"), 2)
        if "log_std" in new:
            new["log_std"] = new["log_std"] + torch.tensor([[0.3, -0.2], [0.1, 0.4]])
            was, now = (Normal(mlp(w, seen), w["log_std"].exp()[:, None, None]) for w in (old, new))
            expected = torch.distributions.kl_divergence(was, now).sum(-1)
        else:
            expected = torch.distributions.kl_divergence(*(Categorical(logits=mlp(w, seen)) for w in (old, new)))
        torch.testing.assert_close(policy.divergence(old, new, seen), expected)
        assert policy.divergence(old, old, seen).abs().max() < 1e-6


def test_gaussian_draws_spread_as_the_bounds_do(rng):
    policy = GaussianPolicy(1, Box((-0.1, -math.inf), (0.1, math.inf)), (4,), first_std=0.5)
    draws = policy.sample(policy.init(rng), torch.zeros(1, 20_000, 1), policy.noise((1, 20_000), rng.torch()))[0]
    assert draws.std(0).tolist() == pytest.approx([0.05, 0.5], rel=0.03)


def test_categorical_density_is_that_of_torch_and_draws_follow_it(rng):
    policy = CategoricalPolicy(2, 3, (8,))
    weights = of_tasks(policy, rng, 2)
    weights["w1"] = weights["w1"] * 20
    seen = torch.randn(2, 1, 2, generator=rng.torch()).expand(2, 20_000, 2)
    exact = Categorical(logits=mlp(weights, seen))
    action = policy.sample(weights, seen, policy.noise(seen.shape[:-1], rng.fork("a").torch()))
    torch.testing.assert_close(policy.log_prob(weights, seen, action), exact.log_prob(action))
    torch.testing.assert_close(policy.entropy(weights, seen), exact.entropy())
    shares = torch.nn.functional.one_hot(action, 3).float().mean(1)
    torch.testing.assert_close(shares, exact.probs[:, 0], atol=0.02, rtol=0)
    assert torch.equal(policy.best(weights, seen), exact.probs.argmax(-1))


def test_the_policy_fits_the_action():
    assert isinstance(make_policy(2, BOX), GaussianPolicy)
    assert make_policy(2, Discrete(5)) == CategoricalPolicy(2, 5)


def test_a_net_gives_gradients_to_its_weights(rng):
    net = Net(mlp_weights((2, 3, 1), rng.torch()))
    net(torch.ones(4, 2)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert set(net.weights) == {"w0", "b0", "w1", "b1"}
