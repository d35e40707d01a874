import numpy as np
import pytest

from umeta.benchmarks.oracle import class_sizes, mixed_weights, usable_labelings
from umeta.core.errors import InputError

LABELINGS = np.stack(
    [
        np.repeat([0, 1, 2], [10, 4, 6]),
        np.repeat([0, 1, -1], [9, 9, 2]),
        np.repeat([-1, 0, -1], [5, 10, 5]),
    ]
)


def test_class_sizes_by_hand():
    assert [sizes.tolist() for sizes in class_sizes(LABELINGS)] == [[4, 6, 10], [9, 9], [10]]


@pytest.mark.parametrize(
    ("n_way", "n_image", "usable"), [(2, 6, [0, 1]), (2, 7, [1]), (2, 9, [1]), (3, 4, [0]), (1, 10, [0, 2]), (1, 1, [0, 1, 2])]
)
def test_labelings_with_enough_large_classes_are_usable(n_way, n_image, usable):
    found = usable_labelings(LABELINGS, n_way=n_way, k_shot=1, n_query=n_image - 1)
    assert np.array_equal(found, LABELINGS[usable])


@pytest.mark.parametrize(
    ("n_way", "n_query", "told"),
    [
        (4, 1, "there are 3 classes, so 4-way tasks are not possible; use at most 3 ways"),
        (2, 9, "1 shots \\+ 9 queries need 10 images per class, but 2 classes have at most 9; use at most 8 queries"),
        (3, 4, "3 classes have at most 4; use at most 3 queries"),
    ],
)
def test_the_largest_numbers_that_work_are_named(n_way, n_query, told):
    with pytest.raises(InputError, match=told):
        usable_labelings(LABELINGS, n_way=n_way, k_shot=1, n_query=n_query)


def test_labelings_have_their_share_of_the_tasks_however_many_there_are():
    np.testing.assert_allclose(mixed_weights(4, 1, 0.2), [0.2, 0.2, 0.2, 0.2, 0.2])
    np.testing.assert_allclose(mixed_weights(1, 3, 0.6), [0.4, 0.2, 0.2, 0.2])
