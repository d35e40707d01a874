"""Adversarial losses, by hand."""

import math

import pytest
import torch

from umeta.functional.adversarial import deception_loss, discriminator_loss, information_loss, uniform_noise, variety


def test_the_discriminator_wants_high_logits_for_real_things_only():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0])
    expected = (math.log(1 + math.exp(-2)) + math.log(2)) / 2 + math.log(1 + math.exp(-1))
    assert discriminator_loss(real, fake).item() == pytest.approx(expected, abs=1e-6)


def test_deceiving_pays_and_its_gradient_lasts_where_the_discriminator_wins():
    logits = torch.tensor([-8.0], requires_grad=True)
    loss = deception_loss(logits)
    assert loss.item() == pytest.approx(8 + math.log(1 + math.exp(-8)), abs=1e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.item() == pytest.approx(-1, abs=1e-3)


def test_information_is_the_sum_over_codes():
    logits = torch.tensor([[[math.log(3.0), 0.0], [0.0, 0.0]]])
    loss = information_loss(logits, torch.tensor([[0, 1]]), torch.tensor([[0.5, -1.0]]), torch.tensor([[0.0, 1.0]]))
    assert loss.item() == pytest.approx(math.log(4 / 3) + math.log(2) + 0.1 * (0.25 + 4) / 2, abs=1e-6)


def test_variety_tells_one_color_from_one_image():
    flat = torch.tensor([0.2, 0.6]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    within, between = variety(flat)
    assert (within, between) == (0, pytest.approx(0.2))
    same = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(5, 1, 3, 2)
    assert variety(same) == (0.5, 0)


def test_noise_fills_the_cube(rng):
    noise = uniform_noise(2000, 3, rng.torch())
    assert noise.min() >= -1 and noise.max() < 1
    torch.testing.assert_close(noise.mean(0), torch.zeros(3), atol=0.05, rtol=0)
    torch.testing.assert_close(noise.var(0), torch.full((3,), 1 / 3), atol=0.03, rtol=0)
