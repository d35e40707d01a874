"""Whoever does the parts of a work, the results come in order, a few at a time, and a failure comes where its result would have."""

import threading
import time
from contextlib import closing

import pytest

from umeta.core.hands import Threads, cut, in_turn


@pytest.mark.parametrize("by", [in_turn, Threads(1), Threads(3)])
def test_results_come_in_the_order_of_the_parts(by):
    def work(part):
        time.sleep(0.002 * (3 - part[0] % 3))  # the first of three is the slowest
        return list(part)

    assert list(by(work, cut(11, 2))) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10]]
    assert list(by(work, [])) == []


@pytest.mark.parametrize("by", [in_turn, Threads(2)])
def test_a_failure_comes_where_its_result_would_have(by):
    def work(part):
        return 6 // (part[0] - 3)

    found = []
    with pytest.raises(ZeroDivisionError), closing(by(work, cut(8, 1))) as results:
        found.extend(results)  # as far as they come
    assert found == [-2, -3, -6]


def test_threads_run_ahead_of_whoever_takes_the_results_by_a_bounded_number():
    done, lock = [], threading.Lock()

    def work(part):
        with lock:
            done.append(part[0])

    with closing(Threads(2)(work, cut(100, 1))) as results:
        next(results)
        time.sleep(0.05)
        assert len(done) <= 6
    assert len(done) <= 6


def test_a_long_list_is_cut_into_parts_of_one_size():
    assert cut(5, 2) == [range(2), range(2, 4), range(4, 5)]
    assert cut(4, 2) == [range(2), range(2, 4)]
    assert cut(0, 2) == []
