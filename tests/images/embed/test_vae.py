"""The VAE: shapes, less loss with practice, codes that can be drawn, and an artifact that comes back."""

import numpy as np
import pytest
import torch

from umeta.core.loop import Pace
from umeta.images.embed.encoder import to_float
from umeta.images.embed.training import fit
from umeta.images.embed.vae import Vae, VaeEncoder

VAE = Vae(n_dim=6, depth=4, width=8, kl_weight=0.1, batch_size=24, lr=5e-3)


class Recorder:
    def __init__(self):
        self.metrics = []

    def on_step(self, position, metrics):
        self.metrics.append(dict(metrics))

    def wants_checkpoint(self, position):
        return False

    def wants_stop(self):
        return False


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 40), (3, 84)])
def test_images_become_codes_and_codes_images_of_the_same_size(rng, channels, side):
    pool = rng.numpy().integers(0, 256, (5, channels, side, side)).astype(np.uint8)
    net = VAE.encoder(VAE.init(pool, rng), pool)
    codes = net(to_float(torch.from_numpy(pool)))
    images = net.decode(codes)
    assert codes.shape == (5, 6) and images.shape == pool.shape
    assert images.min() >= 0 and images.max() <= 1 and not images.requires_grad
    back = VaeEncoder.restore(net.describe(), net.state_dict())
    assert torch.equal(back(to_float(torch.from_numpy(pool))), codes) and torch.equal(back.decode(codes), images)


def test_practice_lowers_the_loss_and_what_is_drawn_is_like_what_was_seen(tiny_pool, rng):
    observer = Recorder()
    pool = np.where(tiny_pool.images > 100, 255, 0).astype(np.uint8)
    net = VAE.encoder(fit(VAE, pool, Pace(130), rng, observer=observer), pool)
    losses = [metrics["loss"] for metrics in observer.metrics]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:3])
    images = to_float(torch.from_numpy(pool[::6]))
    error = (net.decode(net(images)) - images).square().mean()
    assert error < 0.9 * images.var(0).mean(), "better than the mean image"
    assert all(
        metrics["loss"] == pytest.approx(metrics["reconstruction_error"] + 0.1 * metrics["divergence"]) for metrics in observer.metrics
    )


def test_a_fit_follows_from_its_stream(tiny_pool, rng):
    first, again = (fit(VAE, tiny_pool.images, Pace(3), rng).modules["vae"].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_picture_begins_with_images_and_their_reconstructions(tiny_pool, rng):
    state = VAE.init(tiny_pool.images, rng)
    table = VAE.picture(state, tiny_pool.images, rng)
    assert table.shape == (8, 8, 1, 28, 28)
    net = VAE.encoder(state, tiny_pool.images)
    assert torch.allclose(table[:, 1], net.decode(net(table[:, 0])))
