"""ACAI: shapes, less error with practice, and a resumed fit that is the straight one."""

import numpy as np
import pytest
import torch

from umeta.core.loop import Pace
from umeta.images.embed.acai import Acai, AcaiEncoder
from umeta.images.embed.training import fit

ACAI = Acai(depth=4, latent=4, batch_size=16, lr=2e-3)


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 42), (3, 64), (3, 84)])
def test_any_image_becomes_16_times_latent_numbers_of_its_own(rng, channels, side):
    pool = np.zeros((4, channels, side, side), np.uint8)
    encoder = ACAI.encoder(ACAI.init(pool, rng), pool)
    images = torch.rand(3, channels, side, side, generator=rng.torch())
    codes = encoder(images)
    assert codes.shape == (3, 64)
    assert not codes.requires_grad
    torch.testing.assert_close(encoder(images[1:2]), codes[1:2], atol=1e-5, rtol=1e-4)


def test_practice_lowers_the_reconstruction_error(tiny_pool, rng, recorder):
    fit(ACAI, tiny_pool.images, Pace(30), rng, observer=recorder)
    errors = [metrics["reconstruction_error"] for metrics in recorder.metrics]
    assert len(errors) == 30
    assert np.mean(errors[-5:]) < 0.7 * np.mean(errors[:3])
    assert all(set(metrics) == {"loss", "reconstruction_error", "critic_loss"} for metrics in recorder.metrics)


def test_autoencoder_and_critic_each_follow_their_own_loss(tiny_pool, rng):
    state = ACAI.init(tiny_pool.images, rng)
    before = {name: value.clone() for name, value in state.tensors().items()}
    for group in state.optimizers["critic_adam"].param_groups:
        group["lr"] = 0.0
    ACAI.step(state, tiny_pool.images, 0, rng)
    changed = {name.split(".")[0] for name, value in before.items() if not torch.equal(state.tensors()[name], value)}
    assert changed == {"encoder", "decoder"}


def test_a_resumed_fit_is_the_straight_one(tiny_pool, rng, resumed):
    straight = fit(ACAI, tiny_pool.images, Pace(8), rng).tensors()
    again = resumed(ACAI, tiny_pool.images, 8, 3, rng).tensors()
    assert straight.keys() == again.keys()
    assert all(torch.equal(straight[name], again[name]) for name in straight)


def test_there_and_back(tiny_pool, rng):
    encoder = ACAI.encoder(fit(ACAI, tiny_pool.images, Pace(2), rng), tiny_pool.images)
    again = AcaiEncoder.restore(encoder.describe(), {name: value.contiguous() for name, value in encoder.state_dict().items()})
    images = tiny_pool.gather(np.arange(5))
    torch.testing.assert_close(again(images), encoder(images), atol=1e-6, rtol=1e-5)


def test_the_picture_shows_pairs_with_what_lies_between(tiny_pool, rng):
    table = ACAI.picture(ACAI.init(tiny_pool.images, rng), tiny_pool.images, rng)
    assert table.shape == (8, 10, 1, 32, 32)
    assert (table.min() >= 0) and (table.max() <= 1)
    pool = {image.tobytes() for image in tiny_pool.images}
    originals = (table[:, [0, -1], :, 2:-2, 2:-2] * 255).round().byte().flatten(0, 1)
    assert all(image.numpy().tobytes() in pool for image in originals)
