"""Random labels: uniform, repeatable, and blind to the images."""

import numpy as np
import pytest
import torch

from umeta.core.errors import InputError
from umeta.images.partition.shuffled import RandomPartitioner


def test_labels_are_uniform_and_know_nothing_of_the_embedding(rng):
    first, second = RandomPartitioner(5, 2).fit(torch.zeros(5000, 0), rng, min_size=1)
    for labels in (first, second):
        assert labels.dtype == np.int32
        assert np.abs(np.bincount(labels, minlength=5) - 1000).max() < 120
    assert 0.15 < (first == second).mean() < 0.25
    again = RandomPartitioner(5, 2).fit(torch.randn(5000, 3), rng, min_size=1)
    assert np.array_equal(first, again[0]) and np.array_equal(second, again[1])


def test_several_numbers_of_labels_are_taken_in_turn(rng):
    assert [one.max() + 1 for one in RandomPartitioner((3, 7), 3).fit(torch.zeros(500, 1), rng, min_size=1)] == [3, 7, 3]


def test_more_labels_than_images(rng):
    with pytest.raises(InputError, match="6 clusters need at least 6 images, there are 5; use fewer clusters"):
        RandomPartitioner(6).fit(torch.zeros(5, 1), rng, min_size=1)
