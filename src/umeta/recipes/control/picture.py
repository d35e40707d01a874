"""Knows how returns look: curves over episodes, and a map of returns over goals."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from umeta.benchmarks.goals import TrueTasks
from umeta.evaluation.returns import ReturnReport, ReturnRow


def goal_map(row: ReturnRow, grid: Tensor) -> NDArray[np.float64] | None:
    """Return returns over a square of goals as it lies before a viewer, first row on top; None where the goals make no square.

    Args:
        row: With its return on each goal.
        grid: The goals, [n_goal, n_parameter]: points of a plane, ordered by x and then by y, or cells row by row.
    """
    side = round(len(grid) ** 0.5)
    if len(row.per_goal) != len(grid) or side * side != len(grid):
        return None
    square = np.array(row.per_goal).reshape(side, side)
    return square.T[::-1] if grid.shape[1] == 2 else square


def draw_curves(report: ReturnReport, truth: TrueTasks, path: Path) -> None:
    """Write a PNG: mean return of every method over the episodes of adaptation, and where goals lie in a square its return on each.

    Args:
        report: The curves, and for each method its return on every goal.
        truth: Has the grid of goals.
        path: Where the picture goes.
    """
    from matplotlib.figure import Figure

    maps = {row.method: goal_map(row, truth.grid) for row in report.rows}
    mapped = {name: values for name, values in maps.items() if values is not None}
    figure = Figure(figsize=(5 + 2.2 * len(mapped), 3.2), layout="constrained")
    grid = figure.add_gridspec(1, len(mapped) + 1, width_ratios=[5, *[2.2] * len(mapped)])
    axes = figure.add_subplot(grid[0])
    for row in report.rows:
        episodes = [point.episodes for point in row.curve]
        axes.plot(episodes, [point.mean for point in row.curve], marker=".", label=row.method)
        low, high = [point.mean - point.ci95 for point in row.curve], [point.mean + point.ci95 for point in row.curve]
        axes.fill_between(episodes, low, high, alpha=0.15)
    axes.set(xlabel="episodes of adaptation", ylabel=f"mean return, {report.benchmark}")
    axes.legend(fontsize=7)
    least = min((float(values.min()) for values in mapped.values()), default=0.0)
    for index, (name, values) in enumerate(mapped.items()):
        panel = figure.add_subplot(grid[index + 1])
        image = panel.imshow(values, vmin=least, vmax=max(0.0, float(values.max())), cmap="viridis")
        panel.set(xticks=[], yticks=[])
        panel.set_title(f"{name}: return by goal", fontsize=6)
        if index == len(mapped) - 1:
            figure.colorbar(image, ax=panel, shrink=0.7)
    figure.savefig(path, dpi=110)
