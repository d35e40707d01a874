"""Clusters laid out for drawing, by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umeta.core.errors import InputError
from umeta.images.partition.partition import Partitions


def test_by_hand():
    first = np.array([2, 0, 2, -1, 0, 2, 7])  # 0: {1, 4}, 2: {0, 2, 5}, 7: {6}, image 3 in none
    second = np.array([1, 1, 1, 1, -1, -1, -1])  # 1: {0, 1, 2, 3}
    parts = Partitions.from_labels([first, second], min_size=2)
    assert parts.members.tolist() == [1, 4, 0, 2, 5, 0, 1, 2, 3]
    assert parts.start.tolist() == [0, 2, 5]
    assert parts.size.tolist() == [2, 3, 4]
    assert parts.first.tolist() == [0, 2, 3]
    assert parts.n_partitions == 2
    assert parts.n_clusters.tolist() == [2, 1]
    assert Partitions.from_labels([first], min_size=1).n_clusters.tolist() == [3]
    assert Partitions.from_labels([first], min_size=4).n_clusters.tolist() == [0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-2, 4), min_size=9, max_size=9), min_size=1, max_size=3), st.integers(1, 4))
def test_every_cluster_holds_exactly_the_images_of_one_label(labels, min_size):
    parts = Partitions.from_labels([np.array(one) for one in labels], min_size)
    for index, one in enumerate(labels):
        found = [
            tuple(parts.members[parts.start[c] : parts.start[c] + parts.size[c]]) for c in range(parts.first[index], parts.first[index + 1])
        ]
        wanted = [tuple(i for i, label in enumerate(one) if label == name) for name in range(5)]
        assert sorted(found) == sorted(members for members in wanted if len(members) >= min_size)


def test_too_few_clusters_are_told_with_what_would_work():
    parts = Partitions.from_labels([np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, -1, -1])], 2)
    parts.require_ways(2)
    with pytest.raises(InputError) as caught:
        parts.require_ways(3)
    assert str(caught.value) == (
        "3-way tasks need 3 clusters that are large enough, but a partition has only 2; "
        "use at most 2 ways, fewer shots and queries, or more images"
    )


def test_no_partition_at_all_is_bad_input_and_not_a_crash():
    with pytest.raises(InputError, match="has only 0"):
        Partitions.from_labels([], 2).require_ways(2)
