"""Means and their intervals, by hand."""

import math

import numpy as np
import pytest

from umeta.functional.statistics import bootstrap_interval, interquartile_mean, mean_ci95, paired_difference


def test_mean_and_interval_by_hand():
    mean, half = mean_ci95([0.2, 0.4, 0.9])  # squares of deviations: 0.09 + 0.01 + 0.16 = 0.26, over n - 1 = 2
    assert mean == pytest.approx(0.5)
    assert half == pytest.approx(1.96 * math.sqrt(0.13) / math.sqrt(3))
    assert mean_ci95([0.3, 0.3]) == (pytest.approx(0.3), 0.0)


def test_one_value_has_no_interval_and_none_has_no_mean():
    mean, half = mean_ci95([0.7])
    assert mean == 0.7
    assert math.isnan(half)
    with pytest.raises(ValueError, match="at least one value"):
        mean_ci95([])


def test_the_interval_covers_the_truth_19_times_in_20():
    draws = np.random.default_rng(0).normal(size=(2000, 50))
    covered = np.mean([abs(mean) <= half for mean, half in map(mean_ci95, draws)])
    assert 0.93 < covered < 0.965


def test_paired_differences_cancel_what_tasks_share():
    assert paired_difference([0.9, 0.1], [0.8, 0.0]) == (pytest.approx(0.1), pytest.approx(0.0))
    assert paired_difference([1.0, 0.0], [0.0, 0.0]) == (0.5, pytest.approx(1.96 * math.sqrt(0.5) / math.sqrt(2)))
    with pytest.raises(ValueError, match="1 against 2"):
        paired_difference([0.1], [0.1, 0.2])


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert interquartile_mean([100.0, 1.0, 2.0, -7.0]) == 1.5
    assert interquartile_mean([3.0]) == 3.0
    assert interquartile_mean(np.arange(12) ** 2) == pytest.approx((9 + 16 + 25 + 36 + 49 + 64) / 6)
    with pytest.raises(ValueError, match="at least one value"):
        interquartile_mean([])


def test_the_bootstrap_interval_of_a_mean_is_that_of_the_normal():
    draws = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(draws, np.mean, np.random.default_rng(1))
    mean, half = mean_ci95(draws)
    assert low == pytest.approx(mean - half, abs=0.02) and high == pytest.approx(mean + half, abs=0.02)
    assert bootstrap_interval(draws, np.mean, np.random.default_rng(1)) == (low, high)
