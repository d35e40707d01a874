"""Objectives of policies: values by hand, gradients against formulas written out."""

import math

import torch

from umeta.functional.policy_gradient import clipped_surrogate, credited_surrogate, kl_from_samples

ALIVE = torch.ones(1, 2, dtype=torch.bool)


def test_clipped_surrogate_by_hand():
    old = torch.zeros(1, 2)
    ratio = torch.tensor([[2.0, 0.5]])
    # min(2 * 3, 1.2 * 3) = 3.6 and min(0.5 * -1, 0.8 * -1) = -0.8.
    assert clipped_surrogate(ratio.log(), old, torch.tensor([[3.0, -1.0]]), ALIVE, clip=0.2).item() == (3.6 - 0.8) / 2 or math.isclose(
        clipped_surrogate(ratio.log(), old, torch.tensor([[3.0, -1.0]]), ALIVE, clip=0.2).item(), 1.4, rel_tol=1e-6
    )


def test_no_gradient_beyond_the_clip_in_the_direction_of_the_advantage():
    log_prob = torch.tensor([[2.0, 0.5]]).log().requires_grad_()
    clipped_surrogate(log_prob, torch.zeros(1, 2), torch.tensor([[3.0, 3.0]]), ALIVE, clip=0.2).sum().backward()
    assert log_prob.grad.tolist() == [[0.0, 0.75]]  # 0.5 * 3, over two steps


def test_the_gradient_of_the_credited_surrogate_is_reinforce_and_its_curvature_has_the_square():
    theta = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    slope = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    log_prob = theta * slope  # linear, so that the second derivative of A log pi is 0
    advantage = torch.tensor([[0.5, 2.0]], dtype=torch.float64)
    objective = credited_surrogate(log_prob, log_prob, advantage, ALIVE).sum()
    (gradient,) = torch.autograd.grad(objective, theta, create_graph=True)
    assert math.isclose(objective.item(), 1.25)
    assert math.isclose(gradient.item(), (0.5 * 1 + 2 * -2) / 2)
    (curvature,) = torch.autograd.grad(gradient, theta)
    assert math.isclose(curvature.item(), (0.5 * 1 + 2 * 4) / 2)


def test_steps_after_an_end_have_no_weight_and_tasks_stay_apart():
    alive = torch.tensor([[True, False], [True, True]])
    advantage = torch.tensor([[1.0, 100.0], [2.0, 4.0]])
    assert credited_surrogate(torch.zeros(2, 2), torch.zeros(2, 2), advantage, alive).tolist() == [1.0, 3.0]


def test_divergence_estimated_from_samples_is_that_of_two_gaussians(rng):
    noise = torch.randn(1, 200_000, generator=rng.torch())
    old, new = -0.5 * noise.square(), -0.5 * (noise - 0.5).square()
    estimate = kl_from_samples(new, old, torch.ones_like(noise, dtype=torch.bool))
    assert math.isclose(estimate.item(), 0.125, abs_tol=5e-3)
    assert kl_from_samples(old, old, torch.ones_like(noise, dtype=torch.bool)).item() == 0
