"""Expected returns: the fit against returns that it can express, the network's gradients."""

import torch

from umeta.control.nets.baseline import ValueNet, linear_baseline


def test_the_fit_finds_what_it_can_express_and_tasks_stay_apart(rng):
    seen = torch.randn(2, 5, 9, 3, generator=rng.torch())
    time = torch.arange(9) / 9
    returns = torch.stack([2 * seen[0, ..., 0] - seen[0, ..., 1].square() + 3 * time**3 + 1, -4 * seen[1, ..., 2] + time])
    alive = torch.ones(2, 5, 9, dtype=torch.bool)
    torch.testing.assert_close(linear_baseline(seen, returns, alive), returns, atol=2e-2, rtol=1e-3)


def test_steps_that_were_not_taken_do_not_move_the_fit(rng):
    seen = torch.randn(1, 20, 6, 2, generator=rng.torch())
    returns = seen[..., 0] + 1
    alive = torch.rand(1, 20, 6, generator=rng.torch()) < 0.8
    spoiled = torch.where(alive, returns, 1e3)
    fitted = linear_baseline(seen, spoiled, alive)
    torch.testing.assert_close(fitted[alive], returns[alive], atol=1e-3, rtol=1e-3)


def test_values_know_the_time_and_have_gradients(rng):
    net = ValueNet(2)
    weights = {name: value.requires_grad_() for name, value in net.init(rng).items()}
    value = net.value(weights, torch.ones(1, 3, 5, 2))
    assert value.shape == (1, 3, 5)
    assert value[0, 0, 0] != value[0, 0, 4]
    value.sum().backward()
    assert weights["w0"].grad.abs().sum() > 0
