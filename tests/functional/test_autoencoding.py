"""The losses of ACAI by hand, with networks of one number each, and where their gradients go."""

import math

import pytest
import torch

from umeta.functional.autoencoding import acai_losses, mixing_coefficients, vae_losses


def test_mixing_is_uniform_from_0_to_one_half():
    alpha = mixing_coefficients(4000, torch.Generator().manual_seed(0))
    assert alpha.shape == (4000, 1, 1, 1)
    assert 0 <= float(alpha.min()) < 0.001
    assert 0.499 < float(alpha.max()) <= 0.5
    counts = torch.histc(alpha, 10, 0, 0.5)
    assert float(((counts - 400) ** 2 / 400).sum()) < 27.9  # chi-square, 9 degrees of freedom, 0.1 %


def test_losses_by_hand():
    # Two images of one pixel, 0 and 1. The code is the pixel, decoded as twice the code; the critic returns the pixel.
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    alpha = torch.tensor([0.5, 0.25]).view(2, 1, 1, 1)
    autoencoder_loss, critic_loss, error = acai_losses(
        images, alpha, lambda x: x, lambda z: 2 * z, lambda x: x.flatten(), critic_weight=0.5, gamma=0.2
    )
    # Reconstructions 0 and 2: error (0 + 1) / 2. Mixed codes 0.5 and 0.75 become 1 and 1.5.
    assert error.item() == pytest.approx(0.5)
    assert autoencoder_loss.item() == pytest.approx(0.5 + 0.5 * (1 + 2.25) / 2)
    # The critic misses alpha by 0.5 and 1.25; reconstructions moved a fifth toward their images are 0 and 1.8.
    assert critic_loss.item() == pytest.approx((0.25 + 1.5625) / 2 + 3.24 / 2)


def test_each_loss_has_gradients_only_for_those_it_trains():
    images = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    alpha = mixing_coefficients(4, torch.Generator().manual_seed(1))
    encoder, decoder, critic = (torch.tensor(value, requires_grad=True) for value in (0.7, 1.3, 0.9))
    autoencoder_loss, critic_loss, _ = acai_losses(
        images, alpha, lambda x: encoder * x, lambda z: decoder * z, lambda x: critic * x.mean((1, 2, 3))
    )
    of_critic = torch.autograd.grad(critic_loss, [encoder, decoder, critic], allow_unused=True, retain_graph=True)
    assert of_critic[:2] == (None, None)
    assert of_critic[2] != 0
    of_autoencoder = torch.autograd.grad(autoencoder_loss, [encoder, decoder], retain_graph=True)
    without_critic = torch.autograd.grad(((encoder * decoder - 1) * images).square().mean(), [encoder, decoder])
    assert all(abs(a - b) > 1e-3 for a, b in zip(of_autoencoder, without_critic, strict=True))


def test_the_bound_of_a_vae_by_hand():
    # Two images of two pixels; odds of 3 to 1 for bright are log 3. Codes N(1, 1), N(0, e) and N(0, 1), N(0, 1).
    images = torch.tensor([[1.0, 0.5], [0.0, 0.0]]).view(2, 1, 1, 2)
    logits = torch.tensor([[math.log(3), 0.0], [math.log(3), 0.0]]).view(2, 1, 1, 2)
    error, divergence = vae_losses(images, logits, torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    assert error.item() == pytest.approx((math.log(4 / 3) + math.log(2) + math.log(4) + math.log(2)) / 2)
    assert divergence.item() == pytest.approx((1 + math.e - 2) / 4)


def test_the_divergence_of_a_vae_is_that_of_torch():
    draw = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(5, 4, generator=draw), torch.randn(5, 4, generator=draw)
    code = torch.distributions.Normal(mean, (log_variance / 2).exp())
    oracle = torch.distributions.kl_divergence(code, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    zero = torch.zeros(5, 1, 1, 1)
    assert vae_losses(zero, zero, mean, log_variance)[1].item() == pytest.approx(oracle.item(), rel=1e-5)
