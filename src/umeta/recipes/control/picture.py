"""Knows how returns look: curves over episodes, and a map of returns over goals."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from umeta.benchmarks.goals import TrueTasks
from umeta.evaluation.returns import ReturnReport


def draw_curves(report: ReturnReport, truth: TrueTasks, maps: Mapping[str, NDArray[np.floating]], path: Path) -> None:
    """Write a PNG: mean return of every method over the episodes of adaptation, and where goals lie in a square its return on each.

    Args:
        report: The curves.
        truth: Has the grid of goals.
        maps: For each method the return on each goal of the grid, after the last step of the procedure that was scored.
        path: Where the picture goes.
    """
    from matplotlib.figure import Figure

    side = round(len(truth.grid) ** 0.5)
    mapped = maps if side * side == len(truth.grid) else {}
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
        square = values.reshape(side, side)
        shown = square.T[::-1] if truth.grid.shape[1] == 2 else square
        image = panel.imshow(shown, vmin=least, vmax=max(0.0, float(values.max())), cmap="viridis")
        panel.set(xticks=[], yticks=[])
        panel.set_title(f"{name}: return by goal", fontsize=6)
        if index == len(mapped) - 1:
            figure.colorbar(image, ax=panel, shrink=0.7)
    figure.savefig(path, dpi=110)
