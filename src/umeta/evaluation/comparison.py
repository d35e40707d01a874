"""Knows how two results are compared: on the same tasks, pair by pair, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass

from umeta.core.errors import InputError
from umeta.evaluation.report import Report, Row, align
from umeta.evaluation.returns import ReturnReport
from umeta.functional.statistics import paired_difference


@dataclass(frozen=True)
class Difference:
    """How much better one method is than the reference on the same tasks.

    Attributes:
        difference: Mean over tasks of the accuracy minus the reference's.
        ci95: Half-width of its 95 % interval.
    """

    name: str
    reference: str
    n_way: int
    k_shot: int
    difference: float
    ci95: float


def named_rows(reports: Sequence[tuple[str, Report]]) -> list[tuple[str, Row]]:
    """Return the rows of several reports under names that say which run each is of.

    Raises:
        InputError: The reports are of different benchmarks, protocols or task seeds.
    """
    kinds = {(report.benchmark, report.protocol, report.task_seed) for _, report in reports}
    if len(kinds) > 1:
        told = "; ".join(f"{name}: {report.benchmark} {report.protocol}, task seed {report.task_seed}" for name, report in reports)
        raise InputError(f"these results are not of the same tasks and are not put side by side ({told})")
    return [(f"{name}: {row.method}" if len(reports) > 1 else row.method, row) for name, report in reports for row in report.rows]


def differences(rows: Sequence[tuple[str, Row]]) -> list[Difference]:
    """Return every row's paired difference to the first row of the same kind of task, over the tasks that both scored."""
    references: dict[tuple[int, int, int], tuple[str, Row]] = {}
    found = []
    for name, row in rows:
        kind = (row.n_way, row.k_shot, row.n_query)
        if kind not in references:
            references[kind] = (name, row)
            continue
        reference_name, reference = references[kind]
        n = min(len(row.per_task), len(reference.per_task))
        if n:
            mean, ci95 = paired_difference(row.per_task[:n], reference.per_task[:n])
            found.append(Difference(name, reference_name, row.n_way, row.k_shot, mean, ci95))
    return found


def comparison_table(rows: Sequence[tuple[str, Row]]) -> str:
    """Return accuracies with intervals, and paired differences to the first method, in percent."""
    kinds = sorted({(row.n_way, row.k_shot) for _, row in rows})
    by_kind = {(d.name, d.n_way, d.k_shot): f"{100 * d.difference:+.2f} ±{100 * d.ci95:.2f}" for d in differences(rows)}
    cells = {(name, row.n_way, row.k_shot): f"{100 * row.accuracy:.2f} ±{100 * row.ci95:.2f}" for name, row in rows}
    lines = [["method", *(text for n, k in kinds for text in (f"{n}-way {k}-shot", "difference"))]]
    for name in dict.fromkeys(name for name, _ in rows):
        lines.append([name, *(text for n, k in kinds for text in (cells.get((name, n, k), "-"), by_kind.get((name, n, k), "")))])
    return align(lines)


@dataclass(frozen=True)
class ComparedReturn:
    """A method's return after its last step, beside that of the first method on the same tasks.

    Attributes:
        episodes: Of adaptation.
        difference: Mean over tasks of the return minus the first method's; None for the first.
        difference_ci95: Half-width of its 95 % interval.
    """

    name: str
    episodes: int
    mean: float
    ci95: float
    difference: float | None = None
    difference_ci95: float | None = None


def compared_returns(reports: Sequence[tuple[str, ReturnReport]]) -> list[ComparedReturn]:
    """Return all rows of several reports, each with its paired difference to the first.

    Raises:
        InputError: The reports are of different benchmarks, task seeds or numbers of tasks.
    """
    kinds = {(report.benchmark, report.task_seed, len(row.per_task)) for _, report in reports for row in report.rows}
    if len(kinds) > 1:
        told = "; ".join(f"{benchmark}, task seed {seed}, {n} tasks" for benchmark, seed, n in sorted(kinds))
        raise InputError(f"these results are not of the same tasks and are not put side by side ({told})")
    found: list[ComparedReturn] = []
    reference: tuple[float, ...] = ()
    for name, report in reports:
        for row in report.rows:
            shown = f"{name}: {row.method}" if len(reports) > 1 else row.method
            difference, ci95 = paired_difference(row.per_task, reference) if reference else (None, None)
            found.append(ComparedReturn(shown, row.last.episodes, row.last.mean, row.last.ci95, difference, ci95))
            reference = reference or row.per_task
    return found


def returns_table(rows: Sequence[ComparedReturn]) -> str:
    """Return returns with intervals, and paired differences to the first method."""
    lines = [["method", "episodes", "return", "difference"]]
    for row in rows:
        difference = "" if row.difference is None else f"{row.difference:+.2f} ±{row.difference_ci95:.2f}"
        lines.append([row.name, str(row.episodes), f"{row.mean:.2f} ±{row.ci95:.2f}", difference])
    return align(lines)
