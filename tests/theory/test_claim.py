"""The claims as numbers: what each table and figure of the documentation says."""

import math

import pytest

from umeta.core.errors import InputError
from umeta.theory.claim import study_bandit, study_looking, study_memory, study_square_root_law, study_trajectories
from umeta.theory.world import gridworld


def test_known_prior(rng):
    study = study_square_root_law(16, 1.0, rng)
    assert study.regrets["prior"] == pytest.approx(16)
    assert study.regrets["uniform"] == pytest.approx(16)
    assert study.regrets["square root"] == pytest.approx(study.law)
    assert study.regrets["bayes"] == pytest.approx(study.law)
    assert study.law < 15
    means = list(study.by_concentration.values())
    assert means == sorted(means) and means[-1] < 16
    with pytest.raises(InputError, match=r"2 to 400 goals and a positive, finite concentration, not 1 and 1\.0"):
        study_square_root_law(1, 1.0, rng)
    with pytest.raises(InputError, match="not 16 and nan"):
        study_square_root_law(16, math.nan, rng)


def test_memory(rng):
    study = study_memory(gridworld(3, 3, horizon=4), 2000, rng)
    assert study.n_goals == 9
    assert study.without[0] == pytest.approx(9) and study.with_[0] == 5
    assert study.without[1] == pytest.approx(9, abs=2 * study.without[2])
    assert study.with_[1] == pytest.approx(5, abs=0.15)
    assert study.missed_without[9] == pytest.approx((8 / 9) ** 9) and study.missed_with[9] == 0
    with pytest.raises(InputError, match="at least 1 trial"):
        study_memory(gridworld(3, 3, horizon=4), 0, rng)


def test_trajectories_are_exponential(rng):
    rows = study_trajectories(2, 5, 0.3, rng)
    assert [row.n_trajectories for row in rows] == [2, 4, 8, 16, 32]
    for row in rows:
        assert row.value == pytest.approx(row.by_program, rel=1e-6) == row.n_trajectories
        assert row.needle == pytest.approx(row.bound) == row.n_trajectories - 1
        assert row.random < row.bound
        assert row.noisy_value == pytest.approx((2 / 0.15) ** row.horizon)
        assert row.grid_trajectories == 5**row.horizon


def test_bandits_where_the_optima_part():
    sure, half, three = study_bandit([1.0, 0.5])
    assert set(map(round, sure.worst.values())) == {2}
    assert half.information == pytest.approx(math.log(5 / 4), abs=1e-8)
    assert half.worst == pytest.approx({"minimax (LP)": 2, "uniform goals": 4, "MI (exact)": 5}, abs=1e-4)
    # The furthest policy from (1/2, 1/2) is the sure arm, log 2; from (3/4, 1/4) too, log(4/3).
    assert half.redundancy["minimax (LP)"] == pytest.approx(math.log(2))
    assert half.redundancy["uniform goals"] == pytest.approx(math.log(4 / 3))
    assert three.worst == pytest.approx({"minimax (LP)": 5.5, "uniform goals": 12, "MI (exact)": 7.23}, abs=0.01)
    for case in (half, three):
        assert min(case.worst, key=case.worst.get) == "minimax (LP)"
        assert min(case.redundancy, key=case.redundancy.get) == "MI (exact)"
    for bad in ([], [0.0], [1.1]):
        with pytest.raises(InputError, match="reliabilities must be above 0"):
            study_bandit(bad)


def test_looking(rng):
    costs, measured = study_looking(10, 10_000, rng)
    assert (costs.sampling, costs.optimal) == (5.5, 2)
    assert measured == pytest.approx(5.5, abs=0.12)
    with pytest.raises(InputError, match="at least 1 arm"):
        study_looking(0, 1, rng)
