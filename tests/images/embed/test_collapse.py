"""A generator that has lost its variety is stopped, with numbers and a way out."""

import pytest
import torch

from umeta.core.errors import DivergedError
from umeta.images.embed.bigan import Bigan
from umeta.images.embed.collapse import is_simple, watch_variety


def test_one_color_and_one_image_are_told_apart(rng):
    real = torch.rand(8, 1, 32, 32, generator=rng.torch())
    assert watch_variety("bigan", real, real, 500) == {"variety_within": pytest.approx(1), "variety_between": pytest.approx(1)}
    flat = real.mean((1, 2, 3), keepdim=True).expand_as(real)
    with pytest.raises(DivergedError, match=r"bigan draws images of one color: at step 501 they vary 0\.0% .* --embedding acai"):
        watch_variety("bigan", real, flat, 500)
    with pytest.raises(DivergedError, match="infogan draws one and the same image"):
        watch_variety("infogan", real, real[:1].expand_as(real), 500)
    assert watch_variety("bigan", real, flat, 10)["variety_within"] == 0  # at first it may


def test_a_generator_that_died_stops_the_training(tiny_pool, rng):
    bigan = Bigan(n_code=4, width=2, batch_size=8)
    state = bigan.init(tiny_pool.images, rng)
    with torch.no_grad():
        for parameter in state.modules["generator"].parameters():
            parameter.zero_()
    with pytest.raises(DivergedError, match="one color"):
        bigan.step(state, tiny_pool.images, 300, rng)


def test_few_components_are_simple(tiny_pool, rng):
    assert is_simple(tiny_pool.images)
    noise = (torch.rand(600, 1, 28, 28, generator=rng.torch()) * 255).byte().numpy()
    assert not is_simple(noise)
