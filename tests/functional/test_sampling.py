"""Drawing without replacement for many sets at once."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umeta.functional.sampling import choose


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=12), st.integers(0, 6), st.integers(0, 10**6))
def test_draws_are_different_and_in_range_or_refused(sizes, n, seed):
    array = np.array(sizes, np.int64)
    if sizes and min(sizes) < n:
        with pytest.raises(ValueError, match=f"cannot draw {n} different members from a set of {min(sizes)}"):
            choose(array, n, np.random.default_rng(seed))
        return
    drawn = choose(array, n, np.random.default_rng(seed))
    assert drawn.shape == (len(sizes), n)
    for size, row in zip(sizes, drawn.tolist(), strict=True):
        assert len(set(row)) == n
        assert all(0 <= value < size for value in row)


@pytest.mark.parametrize(("size", "n", "limit"), [(5, 1, 18.5), (4, 2, 31.3), (3, 3, 20.5), (4, 4, 49.7)])
def test_every_ordered_choice_is_equally_likely(size, n, limit):
    """`limit` is the 99.9 % point of chi-square with (number of ordered choices - 1) degrees of freedom."""
    drawn = choose(np.full(24_000, size), n, np.random.default_rng(1))
    found = dict.fromkeys(permutations(range(size), n), 0)
    for row in map(tuple, drawn.tolist()):
        found[row] += 1
    expected = len(drawn) / len(found)
    assert sum((count - expected) ** 2 / expected for count in found.values()) < limit


def test_sets_are_drawn_independently_in_any_shape_of_batch():
    drawn = choose(np.full((4000, 2), 2), 1, np.random.default_rng(2))
    assert drawn.shape == (4000, 2, 1)
    assert abs((drawn[:, 0] == drawn[:, 1]).mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)


def test_equal_generators_draw_equal_numbers():
    sizes = np.arange(3, 40)
    assert np.array_equal(choose(sizes, 3, np.random.default_rng(5)), choose(sizes, 3, np.random.default_rng(5)))
