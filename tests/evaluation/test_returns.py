"""Rows of returns: curves by hand, regret, best, and what goes into JSON and the table."""

import json
from dataclasses import replace

import numpy as np
import pytest

from umeta.core.rng import Rng
from umeta.evaluation.evaluate import Scores
from umeta.evaluation.returns import ReturnReport, ReturnRow, curve_of

SCORES = Scores(np.array([[-4.0, -2.0], [-1.0, -1.0], [-2.0, -1.0]]))


def report():
    curve = curve_of(SCORES, [0, 20, 40], Rng.from_seed(0), Scores(np.zeros((2, 2))))
    row = ReturnRow("uml", curve, 2, worst=-9.0, worst_goal=(0.4, 0.5), per_task=(-2.0, -1.0))
    return ReturnReport("point-goals-v0", "PointNav-v0", 0, 0, {"meta_train": 0, "meta_val": 0}, {}, (row,))


def test_a_curve_by_hand():
    row = report().rows[0]
    assert [(point.episodes, point.mean) for point in row.curve] == [(0, -3.0), (20, -1.0), (40, -1.5)]
    assert [point.regret for point in row.curve] == [3.0, 1.0, None]
    assert row.curve[0].iqm_low == -4.0 and row.curve[0].iqm_high == -2.0
    assert row.best.episodes == 20
    assert row.episodes_for(-1.5) == 20 and row.episodes_for(-0.5) is None


def test_other_methods_are_shown_at_the_episodes_of_the_first_with_what_they_had_by_then():
    first = report().rows[0]
    other = replace(first, method="skill", curve=tuple(replace(p, episodes=n) for p, n in zip(first.curve, (0, 32, 52), strict=True)))
    assert [other.within(n).episodes for n in (0, 20, 40, 60)] == [0, 0, 32, 52] and other.within(-1) is None
    both = replace(report(), rows=(first, other))
    assert both.budgets == [0, 20, 40]
    assert both.table().splitlines()[-1].split()[:7] == ["skill", "-3.0", "±2.0", "-3.0", "±2.0", "-1.0", "±0.0"], both.table()


def test_json_and_table_say_what_must_be_known():
    content = json.loads(json.dumps(report().to_json()))
    (result,) = content["results"]
    assert result["return"] == -1.5 and result["best_return"] == -1.0 and result["best_episodes"] == 20
    assert content["rewards_seen"] == {"meta_train": 0, "meta_val": 0}
    assert result["worst_goal"] == [0.4, 0.5]
    table = report().table()
    assert "20 episodes" in table and "-9.0" in table and "-1.0 at 20" in table


def test_a_report_comes_back_from_json():
    again = ReturnReport.from_json(json.loads(json.dumps(report().to_json())))
    assert again == report() and again.budgets == [0, 20, 40] and again.rows[0].last.mean == -1.5


def test_stages_and_episodes_must_match():
    with pytest.raises(ValueError):
        curve_of(SCORES, [0, 20], Rng.from_seed(0))
