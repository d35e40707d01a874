"""Every image a class: views, quarter turns and partners."""

import numpy as np
import pytest
import torch

from umeta.core.rng import Rng
from umeta.images.augment import RandomViews
from umeta.images.episode import Pool
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.testing import check_task_distribution

STILL = RandomViews(rotation_deg=0, scale=0, shear=0, shift=0)
RNG = Rng.from_seed(3)


@pytest.fixture
def numbered() -> Pool:
    """30 images; image i has its number in one corner."""
    images = np.zeros((30, 1, 8, 8), np.uint8)
    images[:, 0, :4, :4] = np.arange(30)[:, None, None] * 8 + 8
    return Pool(images)


@pytest.mark.parametrize("n_turns", [1, 4])
def test_it_keeps_the_contract(tiny_pool, n_turns):
    check_task_distribution(InstanceTasks(tiny_pool, 16, RandomViews(), 2, n_turns))


def test_it_keeps_the_contract_with_partners(tiny_pool):
    partners = (np.arange(288)[:, None] + np.arange(1, 40)) % 288
    check_task_distribution(InstanceTasks(tiny_pool, 32, RandomViews(), 2, partners=partners))


def test_a_class_is_one_image_and_every_turn_of_an_image_comes_up(numbered):
    tasks = InstanceTasks(numbered, 20, STILL, n_query=2, n_turns=4)
    indices = tasks.sample_index(RNG, 200)
    assert indices.shape == (200, 20, 3)
    assert (indices == indices[..., :1]).all()
    assert all(len(set(task)) == 20 for task in indices[..., 0].tolist())
    assert set(indices.ravel().tolist()) == set(range(120))


def test_a_turned_index_is_the_image_turned(numbered):
    upright = numbered.gather(np.arange(30))
    for quarter in range(4):
        turned = numbered.gather(np.arange(30) + 30 * quarter)
        assert torch.equal(turned, torch.rot90(upright, quarter, (-2, -1)))


def test_views_of_one_class_show_the_same_image_and_differ(numbered):
    images = InstanceTasks(numbered, 10, RandomViews(), n_query=1).sample_batch(RNG, 1).images()[0]
    assert not torch.equal(images[:, 0], images[:, 1])
    brightest = images.amax((2, 3, 4))
    assert torch.allclose(brightest[:, 0], brightest[:, 1], atol=0.02)


def test_partners_stand_in_for_queries_never_for_the_support_and_turn_with_it(numbered):
    partners = np.stack([np.arange(30) ^ 1, np.arange(30)], 1)
    tasks = InstanceTasks(numbered, 5, STILL, n_query=1, n_turns=4, partners=partners)
    support, query = np.moveaxis(tasks.sample_index(RNG, 500), -1, 0)
    assert (support // 30 == query // 30).all()
    assert set(np.unique((support % 30) ^ (query % 30))) == {0, 1}
    for task_support, task_query in zip(support, query, strict=True):
        shown = np.concatenate([task_support, task_query[task_query != task_support]])
        assert len(set(shown.tolist())) == len(shown)


def test_more_classes_than_images_are_refused(numbered):
    with pytest.raises(ValueError, match="there are 30"):
        InstanceTasks(numbered, 31, STILL)
    InstanceTasks(numbered, 120, STILL, n_turns=4)


def test_a_random_label_goes_through_its_images_in_turn(numbered):
    tasks = InstanceTasks(numbered, 4, STILL, n_query=5, k_shot=4, n_each=3, clean_support=True)
    indices = tasks.sample_index(RNG, 50)
    assert indices.shape == (50, 4, 9)
    for task in indices:
        assert len(set(task[:, :3].ravel().tolist())) == 12, "no image has two labels"
    np.testing.assert_array_equal(indices[..., 3], indices[..., 0])
    np.testing.assert_array_equal(indices[..., 4:7], indices[..., :3])
    np.testing.assert_array_equal(indices[..., 7:], indices[..., :2])
    check_task_distribution(tasks)
    with pytest.raises(ValueError, match="11-way tasks need 33 images, and there are 30"):
        InstanceTasks(numbered, 11, STILL, n_each=3)


def test_a_clean_support_is_the_image_and_its_queries_are_views(tiny_pool):
    check_task_distribution(InstanceTasks(tiny_pool, 16, RandomViews(), 3, clean_support=True))
    tasks = InstanceTasks(tiny_pool, 8, RandomViews(), n_query=3, k_shot=2, clean_support=True)
    batch = tasks.sample_batch(RNG, 2)
    assert batch.indices.shape == (2, 8, 5)
    images, clean = batch.images(), tiny_pool.gather(batch.indices)
    assert torch.equal(images[:, :, :2], clean[:, :, :2])
    assert (images[:, :, 2:] != clean[:, :, 2:]).flatten(3).any(-1).all()
    assert torch.equal(batch[1].support.images, clean[1, :, :2].flatten(0, 1)) and batch[:1].clean_support


def test_shots_of_one_class_are_its_own_views_and_partners_never_support(numbered):
    partners = np.stack([np.arange(30) ^ 1, np.arange(30)], 1)
    indices = InstanceTasks(numbered, 5, STILL, n_query=2, partners=partners, k_shot=3).sample_index(RNG, 100)
    assert indices.shape == (100, 5, 5)
    assert (indices[..., :3] == indices[..., :1]).all()
    assert (indices[..., 3:] != indices[..., :1]).any()
