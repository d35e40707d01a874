"""Knows how the claims look: every figure of the theory, drawn from the numbers of a study, readable without color."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from umeta.theory.claim import Case, Depth, Memory, SquareRootLaw
from umeta.theory.process import TabularProcess
from umeta.theory.study import Comparison

# Okabe and Ito's colors, which color-blind readers tell apart, each with a marker of its own.
STYLE: dict[str, tuple[str, str]] = {
    "minimax (LP)": ("#0072B2", "o"),
    "MI (all policies)": ("#D55E00", "s"),
    "MI (exact)": ("#D55E00", "s"),
    "MI over goal skills": ("#E69F00", "D"),
    "uniform goals": ("#009E73", "^"),
    "random walk": ("#777777", "v"),
}
BLUE, ORANGE, GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "#777777"
DPI = 110
MAP = "RdBu_r"
FOLD = 16.0


def _figure(n_columns: int, width: float = 4.6, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * n_columns, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, n_columns, index + 1) for index in range(n_columns)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25)
    return figure, axes


def _plain_log(axes: Axes, low: float, high: float) -> None:
    """Put a logarithmic axis of episodes from `low` to `high` with plain numbers on it."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=DPI)
    return path


def draw_regrets(comparisons: Sequence[tuple[float, Comparison]], path: Path) -> Path:
    """Draw both regrets of every explorer against slip, side by side."""
    figure, (left, right) = _figure(2, 5.0, 3.9)
    slips = [slip for slip, _ in comparisons]
    for index, entry in enumerate(comparisons[0][1].entries):
        name = entry.explorer.name
        color, marker = STYLE[name]
        style: dict[str, Any] = {"color": color, "marker": marker, "label": name, "clip_on": False}
        left.plot(slips, [c.entries[index].worst for _, c in comparisons], **style)
        right.plot(slips, [c.entries[index].redundancy for _, c in comparisons], **style)
    left.set(xlabel="slip", ylabel="episodes to the worst goal, 1 / min ρ", title="worst-case hitting time")
    shown = [entry.worst for _, c in comparisons for entry in c.entries if np.isfinite(entry.worst)]
    _plain_log(left, 0.8 * min(shown), 1.5 * max(shown))
    right.set(xlabel="slip", ylabel="max KL(ρ ‖ q), in nats", title="the regret that information minimizes")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xticks(slips)
    left.legend(fontsize=8, frameon=False)
    return _save(figure, path)


def draw_marginals(comparisons: Sequence[tuple[str, Comparison]], path: Path) -> Path:
    """Draw where each explorer ends, a row of maps per process, and the adversary's goals at the right; one color scale for all."""
    names = [entry.explorer.name for entry in comparisons[0][1].entries]
    maps = []
    for _, comparison in comparisons:
        adversary = np.zeros(comparison.process.n_states)
        adversary[comparison.minimax.goals] = comparison.minimax.adversary
        maps.append([*(entry.explorer.marginal for entry in comparison.entries), adversary])
    labels = [label for label, _ in comparisons]
    return _draw_maps([c.process for _, c in comparisons], maps, labels, [*names, "the adversary's goals"], path)


def draw_visits(process: TabularProcess, marginals: dict[str, np.ndarray], path: Path) -> Path:
    """Draw visited states beside exact marginals, on one color scale."""
    return _draw_maps([process], [list(marginals.values())], [""], list(marginals), path)


def _draw_maps(
    processes: Sequence[TabularProcess], maps: Sequence[Sequence[np.ndarray]], labels: Sequence[str], names: Sequence[str], path: Path
) -> Path:
    """Draw rows of maps of probability over the uniform one: white is uniform, blue is seldom, red is often."""
    figure = Figure(figsize=(1.75 * len(names) + 0.8, 1.75 * len(maps) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    image: AxesImage | None = None
    for row, (process, marginals) in enumerate(zip(processes, maps, strict=True)):
        for column, marginal in enumerate(marginals):
            axes = figure.add_subplot(len(maps), len(names), row * len(names) + column + 1)
            relative = np.maximum(marginal * len(process.goals()), 1 / (2 * FOLD))
            image = axes.imshow(_picture(process, relative), cmap=MAP, norm=LogNorm(1 / FOLD, FOLD))
            axes.set(xticks=[], yticks=[])
            axes.set_facecolor("#bbbbbb")
            if row == 0:
                axes.set_title(names[column], fontsize=9)
            if column == 0:
                axes.set_ylabel(labels[row], fontsize=9)
            low = marginal[process.goals()].min()
            axes.set_xlabel(f"least 1/{1 / low:.0f}" if low > 0 else "least 0", fontsize=8)
    assert image is not None
    ticks = [1 / 16, 1 / 4, 1, 4, 16]
    bar = figure.colorbar(image, ax=figure.axes, shrink=0.9, aspect=30, extend="both", ticks=ticks)
    bar.ax.set_yticklabels(["1/16", "1/4", "1", "4", "16"])
    bar.ax.minorticks_off()
    bar.set_label("times uniform", fontsize=9)
    return _save(figure, path)


def _picture(process: TabularProcess, marginal: np.ndarray) -> np.ndarray:
    """Return the marginal on the grid, with NaN for walls; in a near-square block where states have no place."""
    if process.places is None:
        width = int(np.ceil(np.sqrt(process.n_states)))
        picture = np.full(width * -(-process.n_states // width), np.nan)
        picture[: process.n_states] = marginal
        return picture.reshape(-1, width)
    picture = np.full(process.places.max(0) + 1, np.nan)
    picture[process.places[:, 0], process.places[:, 1]] = marginal
    return picture


def draw_square_root_law(study: SquareRootLaw, path: Path) -> Path:
    """Draw prior and marginals over goals, and the law's regret against how even priors are."""
    figure, (left, right) = _figure(2, 5.0, 3.7)
    goals = np.arange(1, len(study.prior) + 1)
    lines = {
        "prior": ("prior p = ρ of matching", BLUE, "o"),
        "uniform": ("ρ uniform", GRAY, "v"),
        "bayes": ("ρ of the convex program", ORANGE, "s"),
    }
    for name, (label, color, marker) in lines.items():
        left.plot(goals, study.marginals[name], color=color, marker=marker, ms=4, label=f"{label}: regret {study.regrets[name]:.2f}")
    left.plot(goals, study.marginals["square root"], color="black", ls=":", label=f"√p / Σ√p: regret {study.law:.2f}")
    left.set(xlabel="goal, likeliest first", ylabel="probability", title="a known prior")
    left.set_ylim(bottom=0)
    left.legend(fontsize=8, frameon=False)
    n = len(goals)
    values = study.by_concentration
    right.axhline(n, color=GRAY, label="ρ = p, and ρ uniform")
    right.plot(list(values), list(values.values()), color=ORANGE, marker="s", label="ρ ∝ √p: (Σ√p)²")
    right.set(
        xscale="log",
        xlabel="concentration of the Dirichlet prior",
        ylabel="regret, mean of 200 priors",
        title="from few likely goals to all alike",
    )
    right.set_ylim(0, 1.12 * n)
    right.legend(fontsize=8, frameon=False, loc="lower right")
    return _save(figure, path)


def draw_memory(study: Memory, path: Path) -> Path:
    """Draw the share of goals that is still not reached against the number of episodes."""
    figure, (axes,) = _figure(1, 6.0, 3.7)
    axes.plot(study.budgets, study.missed_without, color=BLUE, label=f"without memory: {study.without[0]:.1f} episodes to the worst goal")
    axes.plot(study.budgets, study.missed_with, color=ORANGE, ls="--", label=f"no repeats, no noise: {study.with_[0]:.1f} episodes")
    axes.set(xlabel="episodes", ylabel="share of goals not reached yet", title=f"{study.n_goals} goals, all alike")
    axes.set_ylim(0, 1)
    axes.set_xlim(left=0)
    axes.legend(fontsize=8, frameon=False)
    return _save(figure, path)


def draw_trajectories(rows: Sequence[Depth], slip: float, path: Path) -> Path:
    """Draw what readiness for any trajectory costs against the horizon, beside the goals of a grid."""
    figure, (axes,) = _figure(1, 6.4, 3.9)
    horizons = [row.horizon for row in rows]
    axes.plot(horizons, [row.noisy_value for row in rows], color=ORANGE, marker="s", label=f"tree, one trajectory, slip {slip:g}")
    axes.plot(horizons, [row.grid_trajectories for row in rows], color=BLUE, marker="o", label="5x5 grid, one trajectory")
    axes.plot(horizons, [row.value for row in rows], color=GREEN, marker="^", label="tree, one trajectory")
    axes.plot(horizons, [max(row.random, 1e-9) for row in rows], color=GREEN, ls=":", label="tree, random rewards, uniform explorer")
    axes.axhline(25, color=GRAY, ls="--", label="5x5 grid, one goal: at most 25")
    axes.set(
        yscale="log", xlabel="horizon", ylabel="episodes (dotted: missed return)", title="general rewards cost exponentially in the horizon"
    )
    axes.set_ylim(bottom=0.2)
    axes.set_xticks(horizons)
    axes.legend(fontsize=8, frameon=False)
    return _save(figure, path)


def draw_bandit(cases: Sequence[Case], path: Path) -> Path:
    """Draw both regrets of a bandit of two arms against the reliability of the second."""
    figure, (left, right) = _figure(2, 4.8, 3.7)
    two = sorted((case for case in cases if case.reliability == case.reliability), key=lambda case: case.reliability)
    for name in two[0].worst:
        color, marker = STYLE[name]
        style: dict[str, Any] = {"color": color, "marker": marker, "label": name}
        left.plot([case.reliability for case in two], [case.worst[name] for case in two], **style)
        right.plot([case.reliability for case in two], [case.redundancy[name] for case in two], **style)
    left.set(xlabel="reliability of the second arm", ylabel="episodes to the worst goal", title="worst-case hitting time")
    shown = [value for case in two for value in case.worst.values()]
    _plain_log(left, 0.8 * min(shown), 1.5 * max(shown))
    right.set(xlabel="reliability of the second arm", ylabel="max KL(ρ ‖ q), in nats", title="the regret that information minimizes")
    right.set_ylim(bottom=0)
    left.legend(fontsize=8, frameon=False)
    return _save(figure, path)
