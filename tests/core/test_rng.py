"""Random numbers are a pure function of seed, name and index, and stay the same from version to version."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from umeta.core.rng import Rng

NAMES = st.text(max_size=8)
INDICES = st.integers(-(2**40), 2**40)


def test_golden_streams_never_change():
    root = Rng.from_seed(0)
    assert root.key.hex() == "1f9f2125d2bc920b0f2f1db8f1e67f74"
    assert root.fork("task", 3).key.hex() == "7948d9b68432eb9afa8665b92099445d"
    assert Rng.from_seed(-1).key.hex() == "81c30f10719245be2c106e6975e43557"
    assert (root.integer(1000), root.fork("task", 3).integer(1000)) == (559, 49)
    assert root.numpy().integers(1000, size=3).tolist() == [458, 781, 511]
    torch.testing.assert_close(torch.rand(2, generator=root.torch()), torch.tensor([0.6561623811721802, 0.29106640815734863]))


@given(st.integers(), NAMES, INDICES)
def test_a_fork_is_pure_and_leaves_its_parent_as_it_was(seed, name, index):
    parent = Rng.from_seed(seed)
    before = parent.numpy().random()
    assert parent.fork(name, index) == Rng.from_seed(seed).fork(name, index)
    assert parent.numpy().random() == before
    assert parent.fork(name, index) != parent


@given(st.tuples(NAMES, INDICES), st.tuples(NAMES, INDICES))
def test_different_places_have_different_streams(first, second):
    root = Rng.from_seed(7)
    assert (root.fork(*first) == root.fork(*second)) == (first == second)


def test_a_name_cannot_pass_for_an_index_nor_a_child_for_a_grandchild():
    root = Rng.from_seed(0)
    keys = [root.fork("a:1", 2), root.fork("a", 12), root.fork("a", 1), root.fork("a", 1).fork("", 2), root.fork("a")]
    assert len({key.key for key in keys}) == len(keys)


def test_neighboring_streams_are_independent():
    draws = np.stack([Rng.from_seed(0).fork("x", index).numpy().normal(size=400) for index in range(60)])
    correlation = np.corrcoef(draws) - np.eye(60)
    assert np.abs(correlation).max() < 5.5 / 20  # 1770 pairs of standard error 1/20
    assert abs(draws.mean()) < 4 / np.sqrt(draws.size)


def test_generators_start_afresh_and_touch_no_global_one():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    rng = Rng.from_seed(5)
    assert rng.numpy().random() == rng.numpy().random()
    assert torch.rand(1, generator=rng.torch()) == torch.rand(1, generator=rng.torch())
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@given(st.integers(), st.integers(1, 2**62))
def test_integer_stays_below_its_bound(seed, bound):
    assert 0 <= Rng.from_seed(seed).integer(bound) < bound
