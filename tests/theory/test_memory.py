"""Memory by hand, and by running it."""

import numpy as np
import pytest

from umeta.theory.memory import expected_tries, look_first, measure_posterior_sampling, measure_without_repeats, missed_with_memory


def test_by_hand():
    assert expected_tries(np.full(25, 1 / 25)) == 13
    assert expected_tries(np.array([0.2, 0.5, 0.3])) == pytest.approx(0.5 + 2 * 0.3 + 3 * 0.2)
    assert missed_with_memory(np.array([0.2, 0.5, 0.3]), 1) == pytest.approx(0.5)
    assert missed_with_memory(np.array([0.2, 0.5, 0.3]), 3) == 0


def test_running_it_without_noise_gives_half(grid, rng):
    mean, worst = measure_without_repeats(grid, 25 * 2000, rng)
    assert mean == pytest.approx(13, abs=0.15)
    assert worst == pytest.approx(13, abs=0.8)


def test_running_it_with_noise_is_better_than_no_memory(noisy_grid, rng):
    mean, worst = measure_without_repeats(noisy_grid, 25 * 400, rng)
    assert 13 < mean < 17
    assert worst < 25, "uniform goals without memory needs 43.8 for its worst goal, and the best explorer 25"


def test_posterior_sampling_never_looks(rng):
    costs = look_first(10)
    assert (costs.memoryless, costs.sampling, costs.optimal) == (10, 5.5, 2)
    assert measure_posterior_sampling(10, 20_000, rng) == pytest.approx(5.5, abs=0.1)
    assert look_first(2).optimal == 1.5, "with two arms looking does not pay"
