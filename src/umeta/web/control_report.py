"""Knows what a person wants to see of a run that learned in an environment."""

from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from umeta.artifacts.artifact import read_json
from umeta.benchmarks.goals import true_tasks
from umeta.control.learners.shipped import load_procedure
from umeta.control.process import Box, ControlledProcess
from umeta.evaluation.returns import ReturnReport, ReturnRow
from umeta.recipes.control.picture import goal_map
from umeta.recipes.control.score import read_return_reports
from umeta.web.chart import Line, curves, heat
from umeta.web.sheet import Sheet

MEASURES = {
    "information": ("Information between skill and states, at least", "{:.2f} nats"),
    "accuracy": ("Skill guessed rightly from the state", "{:.1%}"),
    "chance": ("The same by chance", "{:.1%}"),
    "coverage": ("Part of the state space that the skills reach", "{:.0%}"),
    "options": ("Skills in use", "{:.1f}"),
    "way": ("Length of an episode in the representation", "{:.2f}"),
}


def control_parts(run: Path) -> dict[str, Any]:
    """Return what `report_control.html` shows of a finished run."""
    process = load_procedure(run).process
    manifest, reports = read_json(run / "manifest.json"), read_return_reports(run)
    measured = manifest["skills"]
    return {
        "process": process,
        "moves": _moves(process),
        "seen": manifest["rewards_seen"]["meta_train"] or 0,
        "measures": [(what, form.format(measured[name])) for name, (what, form) in MEASURES.items() if measured.get(name) is not None],
        "skills": Sheet.read(run / "skills.png", "what each skill does, some of its episodes in a panel of its own; dots are their ends"),
        "first": reports[0] if reports else None,
        "results": [_result(report) for report in reports],
        "reports": reports,
    }


def _moves(process: ControlledProcess) -> str:
    action = process.action
    if not isinstance(action, Box):
        return f"one of {action.n} choices"
    return f"{action.n} numbers from {min(action.low):g} to {max(action.high):g}"


def _result(report: ReturnReport) -> dict[str, Any]:
    lines = [
        Line(row.method, [(point.episodes, point.mean) for point in row.curve], [point.ci95 for point in row.curve]) for row in report.rows
    ]
    title = f"mean return on {report.benchmark} over episodes of adaptation"
    return {
        "report": report,
        "lines": [(row, [row.within(n) for n in report.budgets]) for row in report.rows],
        "chart": curves(title, lines, x_label="episodes of adaptation", legend=True),
        "maps": _maps(report),
        "sooner": [(row, row.episodes_for(report.rows[0].best.mean)) for row in report.rows[1:]],
    }


def _maps(report: ReturnReport) -> list[tuple[ReturnRow, Markup]]:
    """Return a map of returns over goals for every method, all on one scale; none where goals make no square."""
    grid = true_tasks(report.benchmark).grid
    found = [(row, values) for row in report.rows if (values := goal_map(row, grid)) is not None]
    if not found:
        return []
    every = np.concatenate([values.ravel() for _, values in found])
    low, high = float(every.min()), float(every.max())
    return [(row, heat(f"return of {row.method} by goal", values.tolist(), low, high)) for row, values in found]
