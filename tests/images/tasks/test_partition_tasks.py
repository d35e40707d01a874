"""Tasks from partitions: right clusters, right images, fairly drawn, and fast."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.images.episode import Pool
from umeta.images.partition.partition import Partitions
from umeta.images.tasks.partition_tasks import PartitionTasks
from umeta.testing import check_task_distribution

NO_IMAGES = Pool(np.zeros((0, 1, 1, 1), np.uint8))


def test_it_keeps_the_contract(tiny_tasks):
    check_task_distribution(tiny_tasks)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(0, 10**6))
def test_classes_are_distinct_clusters_of_one_partition_and_images_are_members(n_way, k_shot, n_query, n_partitions, seed):
    draw = np.random.default_rng(seed)
    labels = [
        draw.permutation(np.concatenate([np.arange(-1, n_way + 1).repeat(k_shot + n_query + index), [9] * 2]))[:80]
        for index in range(n_partitions)
    ]
    usable = [sum((one == name).sum() >= k_shot + n_query for name in set(one.tolist()) - {-1}) for one in labels]
    size = max(map(len, labels))
    labels = [np.concatenate([one, np.full(size - len(one), -1)]) for one in labels]
    parts = Partitions.from_labels(labels, k_shot + n_query)
    if min(usable) < n_way:
        with pytest.raises(InputError):
            PartitionTasks(NO_IMAGES, parts, n_way, k_shot, n_query)
        return
    indices = PartitionTasks(NO_IMAGES, parts, n_way, k_shot, n_query).sample_index(Rng.from_seed(seed), 30)
    assert indices.shape == (30, n_way, k_shot + n_query)
    for task in indices:
        assert len(set(task.ravel().tolist())) == task.size

        def fits(one, task=task):
            names = [set(one[row].tolist()) for row in task]
            return all(len(own) == 1 and -1 not in own for own in names) and len(set().union(*names)) == n_way

        assert any(fits(one) for one in labels)


def test_partitions_classes_and_images_are_drawn_evenly():
    labels = [np.arange(4).repeat(3), np.tile(np.arange(4), 3)]
    tasks = PartitionTasks(NO_IMAGES, Partitions.from_labels(labels, 2), n_way=2, k_shot=1, n_query=1)
    indices = tasks.sample_index(Rng.from_seed(0), 12_000)
    from_first = labels[0][indices[:, 0, 0]] == labels[0][indices[:, 0, 1]]
    assert abs(from_first.mean() - 0.5) < 4 * 0.5 / np.sqrt(12_000)
    pairs = labels[0][indices[from_first][:, :, 0]]
    counts = np.array([((pairs == (a, b)).all(1)).sum() for a in range(4) for b in range(4) if a != b])
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 31.3  # chi-square, 11 degrees of freedom, 0.1 %
    firsts = np.bincount(indices[:, :, 0].ravel(), minlength=12)
    assert ((firsts - 2000) ** 2 / 2000).sum() < 31.3


def test_partitions_come_up_as_often_as_their_weights_say():
    parts = Partitions.from_labels([np.arange(3).repeat(4), np.arange(2).repeat(6), np.arange(4).repeat(3)], 1)
    weights = np.array([0.1, 0.0, 0.9])
    indices = PartitionTasks(NO_IMAGES, parts, 2, 2, 1, weights=weights).sample_index(Rng.from_seed(0), 4000)
    assert indices.shape == (4000, 2, 3)
    # Three images of a cluster of four, or a whole cluster of three: only the first has two images whose indices are 1 and 3 apart from 0.
    whole = (np.sort(indices, -1) // 3 == np.sort(indices, -1)[..., :1] // 3).all((1, 2)) & (np.sort(indices, -1)[..., 0] % 3 == 0).all(1)
    assert abs(whole.mean() - 0.9) < 0.03


def test_a_cluster_that_is_too_small_for_the_tasks_is_refused():
    parts = Partitions.from_labels([np.arange(3).repeat(2)], 1)
    with pytest.raises(ValueError, match="cannot draw 3 different members from a set of 2"):
        PartitionTasks(NO_IMAGES, parts, 2, 1, 2).sample_index(Rng.from_seed(0), 5)


def test_a_task_is_the_first_of_a_batch_of_one(tiny_tasks, tiny_classes, rng):
    episode, batch = tiny_tasks.sample(rng), tiny_tasks.sample_batch(rng, 1)
    assert (episode.support.images == batch[0].support.images).all()
    names = tiny_classes[batch.indices[0]]
    assert (names == names[:, :1]).all()
    assert len(set(names[:, 0])) == 5


def test_ten_thousand_20_way_tasks_take_less_than_a_second():
    labels = [np.random.default_rng(index).integers(0, 500, 25_000) for index in range(20)]
    tasks = PartitionTasks(NO_IMAGES, Partitions.from_labels(labels, 6), n_way=20, k_shot=1, n_query=5)
    rng, taken = Rng.from_seed(0), []
    for trial in range(3):
        began = time.perf_counter()
        for batch in range(5):
            tasks.sample_index(rng.fork("trial", trial).fork("batch", batch), 400)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 2000 / 10_000
