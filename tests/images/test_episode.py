"""Episodes are index arrays into a pool: what is support, what is query, and what is computed once."""

import numpy as np
import pytest
import torch

from umeta.core.rng import Rng
from umeta.images.episode import Episodes, Pool

PIXELS = np.arange(24, dtype=np.uint8).reshape(24, 1, 1, 1).repeat(2, 2).repeat(2, 3)
INDICES = np.arange(24).reshape(2, 3, 4)


@pytest.fixture
def episodes():
    return Episodes(Pool(PIXELS), INDICES, k_shot=1)


def test_support_and_query_by_hand(episodes):
    assert (len(episodes), episodes.n_way, episodes.n_query) == (2, 3, 3)
    task = episodes[1]
    assert (task.support.images[:, 0, 0, 0] * 255).round().tolist() == [12, 16, 20]
    assert task.support.labels.tolist() == [0, 1, 2]
    assert (task.query.images[:, 0, 0, 0] * 255).round().tolist() == [13, 14, 15, 17, 18, 19, 21, 22, 23]
    assert task.query.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert task.support.n_way == task.query.n_way == 3
    assert [len(chunk) for chunk in Episodes(Pool(PIXELS), INDICES.reshape(6, 1, 4), 1).chunk(4)] == [4, 2]


def test_images_are_floats_from_0_to_1_in_the_shape_of_the_indices():
    pool = Pool(np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1))
    gathered = pool.gather(np.array([[2, 1], [0, 2]]))
    assert gathered.shape == (2, 2, 1, 1, 1)
    torch.testing.assert_close(gathered.flatten(), torch.tensor([1.0, 0.2, 0.0, 1.0]))


def test_the_pool_is_embedded_once_per_encoder(episodes):
    calls = []

    def encoder(images):
        calls.append(len(images))
        return images.flatten(1)

    first = episodes.embedded(encoder)
    assert first.shape == (2, 3, 4, 4)
    torch.testing.assert_close(first[..., 0] * 255, torch.from_numpy(INDICES).float())
    episodes[:1].embedded(encoder)
    assert calls == [24]
    episodes.embedded(lambda images: images.flatten(1) * 2)
    torch.testing.assert_close(episodes.embedded(encoder), first)
    assert calls == [24]


def test_augmented_images_are_embedded_as_they_are_and_repeat(episodes):
    def augment(images, rng):
        return images + torch.rand(len(images), 1, 1, 1, generator=rng.torch())

    noisy = Episodes(episodes.pool, INDICES, 1, augment, Rng.from_seed(0))
    assert torch.equal(noisy.images(), noisy.images())
    assert not torch.equal(noisy.images(), episodes.images())
    torch.testing.assert_close(noisy.embedded(lambda images: images.flatten(1)), noisy.images().flatten(3))
    other = Episodes(episodes.pool, INDICES, 1, augment, Rng.from_seed(1))
    assert not torch.equal(noisy.images(), other.images())


def test_portions_are_the_tasks_of_the_whole_batch_bit_for_bit(episodes):
    def augment(images, rng):
        return images + torch.rand(len(images), 1, 1, 1, generator=rng.torch())

    noisy = Episodes(episodes.pool, INDICES.reshape(4, 2, 3), 1, augment, Rng.from_seed(0), clean_support=True)
    parts = [noisy.portion(rank, 2) for rank in range(2)]
    assert [len(part) for part in parts] == [2, 2]
    assert torch.equal(torch.cat([part.images() for part in parts]), noisy.images())
    assert np.array_equal(parts[1].indices, noisy.indices[2:])
    plain = Episodes(episodes.pool, INDICES, 1)
    assert torch.equal(plain.portion(1, 2).images(), plain.images()[1:])
