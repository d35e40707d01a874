"""Knows the rows of a result: what each must say to be read rightly, as JSON, CSV and text."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One method on one kind of task.

    Attributes:
        method: Name of the method.
        n_way: Classes per task.
        k_shot: Support images per class.
        n_query: Query images per class.
        accuracy: Mean over tasks, a fraction, after the last adaptation step.
        ci95: Half-width of its 95 % interval over tasks.
        n_tasks: Tasks scored.
        transductive: Whether predictions depend on the other queries.
        labels_seen: Labels that the method saw before the task's own support set.
        overlap: Test images that were in the training pool; not 0 only if the user allowed it.
        ece: Expected calibration error of its probabilities, a fraction; None where it was not measured.
        encoder_labels: What labels an encoder that others trained has seen, which the method stands on; empty if there is none.
        curve: Mean accuracy and half-width after every adaptation step, from step 0.
        per_task: Accuracy of every task at the last step, for paired comparison.
    """

    method: str
    n_way: int
    k_shot: int
    n_query: int
    accuracy: float
    ci95: float
    n_tasks: int
    transductive: bool
    labels_seen: int = 0
    overlap: int = 0
    ece: float | None = None
    encoder_labels: str = ""
    curve: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    per_task: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Report:
    """All rows of one evaluation.

    Attributes:
        benchmark: Whose tasks.
        protocol: Which classes are held out, and how tasks are drawn.
        seed: Of the run that was scored; the tasks have a seed of their own, `task_seed`.
        task_seed: Equal task seeds give equal tasks.
        labels_seen: Labeled images used in training and in model selection; one with many attributes counts once.
        facts: Classes and images per split, and whatever else a reader needs.
        rows: The results.
    """

    benchmark: str
    protocol: str
    seed: int
    task_seed: int
    labels_seen: dict[str, int]
    facts: dict[str, Any]
    rows: tuple[Row, ...]

    def to_json(self, *, with_tasks: bool = False) -> dict[str, Any]:
        """Return the report JSON-ready; `with_tasks` keeps the accuracy of every task."""
        results = []
        for row in self.rows:
            content = asdict(row)
            if not with_tasks:
                content.pop("per_task")
            if len(row.curve) <= 1:
                content.pop("curve")
            results.append(content)
        content = {name: getattr(self, name) for name in ("benchmark", "protocol", "seed", "task_seed", "labels_seen", "facts")}
        return content | {"results": results}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Report":
        """Return the report that `to_json(with_tasks=True)` wrote."""
        rows = [
            Row(**(row | {"curve": tuple(map(tuple, row.get("curve", ()))), "per_task": tuple(row.get("per_task", ()))}))
            for row in content["results"]
        ]
        return cls(**{key: value for key, value in content.items() if key != "results"}, rows=tuple(rows))

    def write_csv(self, path: Path) -> None:
        """Write one line per method, kind of task and adaptation step."""
        names = ("benchmark", "protocol", "seed", "method", "n_way", "k_shot", "n_query", "step", "accuracy", "ci95")
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*names, "n_tasks", "transductive", "labels_seen", "overlap", "ece", "encoder_labels"])
            for row in self.rows:
                head = [self.benchmark, self.protocol, self.seed, row.method, row.n_way, row.k_shot, row.n_query]
                tail = [
                    row.n_tasks,
                    row.transductive,
                    row.labels_seen,
                    row.overlap,
                    "" if row.ece is None else f"{row.ece:.6f}",
                    row.encoder_labels,
                ]
                for step, (accuracy, ci95) in enumerate(row.curve or [(row.accuracy, row.ci95)]):
                    writer.writerow([*head, step, f"{accuracy:.6f}", f"{ci95:.6f}", *tail])

    def table(self) -> str:
        """Return the results in percent, one line per method, one column per kind of task."""
        kinds = sorted({(row.n_way, row.k_shot) for row in self.rows})
        cells = {(row.method, row.n_way, row.k_shot): f"{100 * row.accuracy:.2f} ±{100 * row.ci95:.2f}" for row in self.rows}
        lines = [["method", *(f"{n}-way {k}-shot" for n, k in kinds), "labels", "tasks", "transductive"]]
        for method in dict.fromkeys(row.method for row in self.rows):
            own = [row for row in self.rows if row.method == method]
            n_tasks = sorted({row.n_tasks for row in own})
            lines.append(
                [
                    method,
                    *(cells.get((method, n, k), "-") for n, k in kinds),
                    f"{own[0].labels_seen}, encoder: {own[0].encoder_labels}" if own[0].encoder_labels else str(own[0].labels_seen),
                    "/".join(map(str, n_tasks)),
                    "yes" if own[0].transductive else "no",
                ]
            )
        return align(lines)


def align(lines: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as text with straight columns, the first to the left and the others to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rows = []
    for line in lines:
        first, *rest = (
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        rows.append("  ".join([first, *rest]).rstrip())
    return "\n".join(rows)
