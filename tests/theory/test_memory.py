"""Memory by hand, and by running it."""

import itertools

import numpy as np
import pytest

from umeta.theory.memory import (
    expected_tries,
    look_first,
    measure_posterior_sampling,
    measure_without_repeats,
    missed_with_memory,
    search_bound,
)


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


def best_search(n_cells: int, horizon: int, n_episodes: int) -> float:
    """Return the best mean return on a line of cells by trying every plan until the goal is met."""

    def value(plan):
        met = {}
        for episode in range(n_episodes):
            place = 0
            for t in range(horizon):
                place = min(max(place + plan[episode * horizon + t], 0), n_cells - 1)
                met.setdefault(place, (episode, t))
        later = [horizon + 1 - max(goal, 1) for goal in range(n_cells)]
        return sum(horizon - t + (n_episodes - 1 - episode) * later[goal] for goal, (episode, t) in met.items()) / n_cells

    return max(map(value, itertools.product((-1, 0, 1), repeat=horizon * n_episodes)))


def test_no_search_exceeds_its_bound():
    assert search_bound(np.array([0, 1, 2]), 2, 2) == pytest.approx(8 / 3)
    assert best_search(3, 2, 2) == pytest.approx(8 / 3)
    assert best_search(4, 3, 2) <= search_bound(np.arange(4), 3, 2) < 1.1 * best_search(4, 3, 2)
    assert search_bound(np.array([5]), 3, 2) == 0
