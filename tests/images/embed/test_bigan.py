"""BiGAN: the size of its code, who follows which loss, an inverse that gets nearer, and the alarm."""

import numpy as np
import pytest
import torch

from umeta.core.loop import Pace
from umeta.images.embed.bigan import Bigan, BiganEncoder, n_code
from umeta.images.embed.training import fit

BIGAN = Bigan(n_code=8, width=4, batch_size=16)


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 42), (3, 84)])
def test_any_image_becomes_a_code_of_its_own(rng, channels, side):
    pool = np.random.default_rng(0).integers(0, 255, (6, channels, side, side)).astype(np.uint8)
    state = BIGAN.init(pool, rng)
    BIGAN.step(state, pool, 0, rng)
    encoder = BIGAN.encoder(state, pool)
    images = torch.rand(3, channels, side, side, generator=rng.torch())
    codes = encoder(images)
    assert codes.shape == (3, 8)
    torch.testing.assert_close(encoder(images[1:2]), codes[1:2], atol=1e-5, rtol=1e-4)


def test_simple_pools_get_a_small_code(tiny_pool, rng):
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1, 28, 28)).astype(np.uint8)
    free = Bigan(width=2)
    assert n_code(free.init(tiny_pool.images, rng)) == 50
    assert n_code(free.init(noise, rng)) == 200


def test_each_side_follows_its_own_loss(tiny_pool, rng):
    state = BIGAN.init(tiny_pool.images, rng)
    before = {name: value.clone() for name, value in state.tensors().items()}
    for group in state.optimizers["discriminator_adam"].param_groups:
        group["lr"] = 0.0
    BIGAN.step(state, tiny_pool.images, 0, rng)
    after = state.tensors()
    changed = {
        name.split(".")[0] for name, value in before.items() if name.endswith(("weight", "bias")) and not torch.equal(after[name], value)
    }
    assert changed == {"encoder", "generator"}


def test_the_encoder_comes_to_invert_the_generator(tiny_pool, rng, recorder):
    state = fit(BIGAN, tiny_pool.images, Pace(40), rng, observer=recorder)
    cycle = [metrics["cycle"] for metrics in recorder.metrics]
    assert np.mean(cycle[-5:]) < 0.75 * np.mean(cycle[:3])
    assert all(np.isfinite(metrics["loss"]) for metrics in recorder.metrics)
    table = BIGAN.picture(state, tiny_pool.images, rng)
    assert table.shape == (8, 12, 1, 32, 32)
    pool = {image.tobytes() for image in tiny_pool.images}
    originals = (table[[0, 2], :, :, 2:-2, 2:-2] * 255).round().byte().flatten(0, 1)
    assert all(image.numpy().tobytes() in pool for image in originals)


def test_a_resumed_fit_is_the_straight_one(tiny_pool, rng, resumed):
    straight = fit(BIGAN, tiny_pool.images, Pace(5), rng).tensors()
    again = resumed(BIGAN, tiny_pool.images, 5, 2, rng).tensors()
    assert straight.keys() == again.keys()
    assert all(torch.equal(straight[name], again[name]) for name in straight)


def test_there_and_back(tiny_pool, rng):
    encoder = BIGAN.encoder(fit(BIGAN, tiny_pool.images, Pace(1), rng), tiny_pool.images)
    again = BiganEncoder.restore(encoder.describe(), {name: value.clone() for name, value in encoder.state_dict().items()})
    images = tiny_pool.gather(np.arange(5))
    torch.testing.assert_close(again(images), encoder(images))
