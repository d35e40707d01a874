"""Results are put side by side on the same tasks only, and differences are paired."""

from dataclasses import replace

import pytest

from umeta.core.errors import InputError
from umeta.evaluation.comparison import compared_returns, comparison_table, differences, named_rows, returns_table
from umeta.evaluation.report import Report, Row
from umeta.evaluation.returns import ReturnPoint, ReturnReport, ReturnRow


def row(method, per_task, **options):
    return Row(method, **({"n_way": 5, "k_shot": 1, "n_query": 15} | options), accuracy=sum(per_task) / max(len(per_task), 1), ci95=0.01,
               n_tasks=len(per_task), transductive=False, per_task=tuple(per_task))  # fmt: skip


REPORT = Report("omniglot", "vinyals", 3, 0, {}, {}, (row("cactus", [0.5, 0.7]),))


@pytest.mark.parametrize("change", [{"benchmark": "glyphs"}, {"protocol": "lake"}, {"task_seed": 1}])
def test_unlike_results_are_refused_with_what_differs(change):
    with pytest.raises(InputError, match=r"not of the same tasks.*a: omniglot vinyals, task seed 0; b: ") as caught:
        named_rows([("a", REPORT), ("b", replace(REPORT, **change))])
    assert str(*change.values()) in str(caught.value)


def test_rows_are_named_by_run_where_there_are_several():
    assert [name for name, _ in named_rows([("a", REPORT)])] == ["cactus"]
    assert [name for name, _ in named_rows([("a", REPORT), ("b", replace(REPORT, seed=9))])] == ["a: cactus", "b: cactus"]


def test_differences_by_hand():
    rows = [
        ("a", row("a", [0.5, 0.7, 0.9])),
        ("a20", row("a", [0.1], n_way=20)),
        ("q", row("q", [0.9, 0.9], n_query=5)),
        ("b", row("b", [0.6, 0.9])),  # the first two tasks: +0.1 and +0.2
        ("none", row("none", [])),
    ]
    (found,) = differences(rows)
    assert (found.name, found.reference, found.n_way, found.k_shot) == ("b", "a", 5, 1)
    assert found.difference == pytest.approx(0.15)
    assert found.ci95 == pytest.approx(1.96 * 0.05)  # deviations of 0.05: std = sqrt(0.005), over sqrt(2)


def test_golden_table():
    rows = [("a", row("a", [0.5, 0.5])), ("b", row("b", [0.25, 0.25])), ("b", row("b", [0.125], k_shot=5))]
    assert comparison_table(rows).splitlines() == [
        "method  5-way 1-shot    difference  5-way 5-shot  difference",
        "a        50.00 ±1.00                           -",
        "b        25.00 ±1.00  -25.00 ±0.00   12.50 ±1.00",
    ]


def returns(method, per_task, benchmark="point-goals-v0"):
    point = ReturnPoint(100, sum(per_task) / len(per_task), 0.5, 0.0, 0.0, 0.0)
    return ReturnReport(benchmark, "PointNav-v0", 0, 0, {}, {}, (ReturnRow(method, (point,), len(per_task), per_task=tuple(per_task)),))


def test_returns_are_compared_pair_by_pair():
    first, second = compared_returns([("a", returns("uml-diayn", (-6.0, -8.0))), ("b", returns("uml-vic", (-9.0, -9.0)))])
    assert (first.name, first.mean, first.difference) == ("a: uml-diayn", -7.0, None)
    assert (second.name, second.difference) == ("b: uml-vic", -2.0)
    assert second.difference_ci95 == pytest.approx(differences_ci95([-3.0, -1.0]))
    assert returns_table([first, second]).splitlines()[2].split()[:4] == ["b:", "uml-vic", "100", "-9.00"]
    with pytest.raises(
        InputError, match=r"not of the same tasks.*grid-goals-v0, task seed 0, 1 tasks; point-goals-v0, task seed 0, 2 tasks"
    ):
        compared_returns([("a", returns("uml-diayn", (-6.0, -8.0))), ("b", returns("uml-vic", (1.0,), "grid-goals-v0"))])


def differences_ci95(values):
    mean = sum(values) / len(values)
    return 1.96 * (sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)) ** 0.5
