"""InfoGAN: the layout of its embedding, codes that come to be read, a resumed fit, and its picture."""

import numpy as np
import pytest
import torch

from umeta.core.loop import Pace
from umeta.images.embed.infogan import Infogan, InfoganEncoder
from umeta.images.embed.training import fit

INFOGAN = Infogan(n_codes=2, n_continuous=3, n_noise=4, width=8, batch_size=16, lr=1e-3)


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 42), (3, 84)])
def test_an_image_becomes_logits_and_means(rng, channels, side):
    pool = np.random.default_rng(0).integers(0, 255, (6, channels, side, side)).astype(np.uint8)
    state = INFOGAN.init(pool, rng)
    INFOGAN.step(state, pool, 0, rng)
    encoder = INFOGAN.encoder(state, pool)
    read = encoder(torch.rand(3, channels, side, side, generator=rng.torch()))
    assert read.shape == (3, 2 * 10 + 3)
    logits, means = encoder.divided(read)
    assert logits.shape == (3, 2, 10) and means.shape == (3, 3)
    assert torch.equal(logits[:, 1], read[:, 10:20]) and torch.equal(means, read[:, 20:])


def test_a_simple_pool_has_the_codes_of_mnist(tiny_pool, rng):
    reader = Infogan(width=2).init(tiny_pool.images, rng).modules["reader"]
    assert (reader.n_codes, reader.n_continuous) == (1, 2)
    noise = np.random.default_rng(0).integers(0, 255, (1200, 1, 28, 28)).astype(np.uint8)
    reader = Infogan(width=2).init(noise, rng).modules["reader"]
    assert (reader.n_codes, reader.n_continuous) == (10, 4)


def test_codes_come_to_be_read(tiny_pool, rng, recorder):
    fit(INFOGAN, tiny_pool.images, Pace(40), rng, observer=recorder)
    told = [metrics["information_loss"] for metrics in recorder.metrics]
    assert np.mean(told[:3]) > 4  # two codes of ten values: 2 log 10 = 4.6 nats at chance
    assert np.mean(told[-5:]) < 0.8 * np.mean(told[:3])


def test_a_resumed_fit_is_the_straight_one(tiny_pool, rng, resumed):
    straight = fit(INFOGAN, tiny_pool.images, Pace(5), rng).tensors()
    again = resumed(INFOGAN, tiny_pool.images, 5, 2, rng).tensors()
    assert straight.keys() == again.keys()
    assert all(torch.equal(straight[name], again[name]) for name in straight)


def test_there_and_back(tiny_pool, rng):
    encoder = INFOGAN.encoder(fit(INFOGAN, tiny_pool.images, Pace(1), rng), tiny_pool.images)
    again = InfoganEncoder.restore(encoder.describe(), {name: value.clone() for name, value in encoder.state_dict().items()})
    images = tiny_pool.gather(np.arange(5))
    torch.testing.assert_close(again(images), encoder(images))


def test_a_row_of_the_picture_has_one_value_of_the_first_code(tiny_pool, rng):
    table = INFOGAN.picture(INFOGAN.init(tiny_pool.images, rng), tiny_pool.images, rng)
    assert table.shape == (10, 12, 1, 32, 32)
    assert not torch.equal(table[0], table[1])
