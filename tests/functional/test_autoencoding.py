"""The losses of ACAI by hand, with networks of one number each, and where their gradients go."""

import pytest
import torch

from umeta.functional.autoencoding import acai_losses, mixing_coefficients


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
