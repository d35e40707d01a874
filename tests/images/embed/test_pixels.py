"""Whitened pixels: by hand, against a direct covariance, and there and back."""

import numpy as np
import pytest
import torch

from umeta.images.embed.encoder import embed_all, to_float
from umeta.images.embed.pixels import PixelsZca, contrast_normalized, flatten_pixels

IMAGES = np.random.default_rng(0).integers(0, 256, (3000, 1, 6, 6)).astype(np.uint8)
IMAGES[:, :, :, 1:] = IMAGES[:, :, :, 1:] // 2 + IMAGES[:, :, :, :-1] // 2  # neighbors say nearly the same


def test_contrast_normalization_by_hand():
    images = torch.tensor([0.0, 255.0, 255.0, 0.0]).reshape(1, 1, 2, 2) / 255
    wanted = 127.5 / np.sqrt(127.5**2 + 10)
    torch.testing.assert_close(contrast_normalized(images), torch.tensor([[-wanted, wanted, wanted, -wanted]], dtype=torch.float32))
    assert not contrast_normalized(torch.full((1, 1, 2, 2), 0.4)).abs().gt(1e-4).any()


def test_large_images_are_shrunk_to_32_pixels():
    assert contrast_normalized(torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))).shape == (2, 3 * 32 * 32)


def test_whitening_makes_the_covariance_an_identity():
    encoder = PixelsZca.fit(IMAGES, batch_size=700)
    before = contrast_normalized(to_float(torch.from_numpy(IMAGES)))
    assert np.abs(np.corrcoef(before.T.numpy()) - np.eye(36)).max() > 0.3
    embedding = embed_all(encoder, IMAGES, batch_size=500)
    covariance = np.cov(embedding.numpy().T.astype(np.float64))
    values = np.linalg.eigvalsh(covariance)
    assert abs(values[0]) < 1e-2  # the direction of equal pixels, which contrast normalization empties
    np.testing.assert_allclose(values[1:], 1, atol=0.01)
    np.testing.assert_allclose(embedding.mean(0).numpy(), 0, atol=1e-3)
    torch.testing.assert_close(encoder.whitening, encoder.whitening.T, atol=1e-4, rtol=1e-4)


def test_the_batch_size_does_not_matter():
    first, second = PixelsZca.fit(IMAGES[:500], batch_size=64), PixelsZca.fit(IMAGES[:500])
    torch.testing.assert_close(first.mean, second.mean)
    torch.testing.assert_close(first(torch.ones(1, 1, 6, 6)), second(torch.ones(1, 1, 6, 6)), atol=1e-3, rtol=1e-3)


def test_a_constant_pool_stays_finite():
    encoder = PixelsZca.fit(np.full((20, 1, 6, 6), 9, np.uint8))
    assert torch.isfinite(encoder(torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0)))).all()


def test_there_and_back():
    encoder = PixelsZca.fit(IMAGES[:200])
    again = PixelsZca.restore(encoder.describe(), encoder.state_dict())
    images = to_float(torch.from_numpy(IMAGES[:5]))
    assert torch.equal(again(images), encoder(images))


@pytest.mark.parametrize("batch_size", [1, 7, 512])
def test_embed_all_is_the_encoder_in_pieces(batch_size):
    wanted = torch.from_numpy(IMAGES[:20]).flatten(1) / 255
    result = embed_all(flatten_pixels, IMAGES[:20], batch_size=batch_size)
    torch.testing.assert_close(result, wanted)
    assert not result.is_inference()
