"""Encoder and decoder mirror each other in shape, and keep the spread of their inputs."""

import pytest
import torch

from umeta.images.nets.autoencoder import ConvDecoder, ConvEncoder


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("channels", "side", "n_scales"), [(1, 32, 3), (3, 64, 4)])
def test_there_and_back(channels, side, n_scales):
    images = torch.rand(2, channels, side, side, generator=generator())
    codes = ConvEncoder(channels, 4, 6, n_scales, generator())(images)
    assert codes.shape == (2, 6, 4, 4)
    assert ConvDecoder(channels, 4, 6, n_scales, generator())(codes).shape == images.shape


def test_weights_follow_from_the_generator_with_zero_bias_and_spread_of_he():
    first, again, other = (ConvEncoder(1, 16, 8, 3, generator(seed)).layers for seed in (0, 0, 1))
    assert torch.equal(first[3].weight, again[3].weight)
    assert not torch.equal(first[3].weight, other[3].weight)
    assert first[3].weight.std().item() == pytest.approx((2 / (1.04 * 16 * 9)) ** 0.5, rel=0.05)
    assert all(not layer.bias.any() for layer in first if hasattr(layer, "bias"))


def test_an_image_is_encoded_by_itself():
    encoder = ConvEncoder(1, 4, 2, 3, generator())
    images = torch.rand(3, 1, 32, 32, generator=generator(1))
    torch.testing.assert_close(encoder(images)[1:2], encoder(images[1:2]), atol=1e-5, rtol=1e-4)
