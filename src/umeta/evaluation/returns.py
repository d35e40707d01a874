"""Knows the rows of a result in control: returns over the episodes that adaptation took, with what each must say to be read rightly."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from umeta.core.rng import Rng
from umeta.evaluation.evaluate import Scores
from umeta.evaluation.report import align
from umeta.functional.statistics import bootstrap_interval, interquartile_mean, mean_ci95


@dataclass(frozen=True)
class ReturnPoint:
    """Returns after some episodes of adaptation.

    Attributes:
        episodes: Episodes of each task that adaptation has run.
        mean: Mean return over tasks.
        ci95: Half-width of its 95 % interval over tasks.
        iqm: Interquartile mean over tasks.
        iqm_low: Lower end of its 95 % bootstrap interval over tasks.
        iqm_high: Upper end.
        regret: Mean over tasks of the oracle's return less this one's at the same number of steps; None without an oracle.
    """

    episodes: int
    mean: float
    ci95: float
    iqm: float
    iqm_low: float
    iqm_high: float
    regret: float | None = None


@dataclass(frozen=True)
class ReturnRow:
    """One method on one distribution of rewards.

    Attributes:
        method: Name of the method.
        curve: Returns before adaptation and after each of its steps.
        n_tasks: Tasks scored.
        rewards_seen: Name of the true rewards that the method practiced on; empty for none.
        tuned: What was chosen on validation tasks, such as a learning rate; empty for nothing.
        worst: Least mean return over a grid of all goals after the last step; None where it was not asked.
        worst_goal: Which goal that is.
        per_task: Return on every task after the last step.
        per_goal: Return on each goal of that grid after the last step.
    """

    method: str
    curve: tuple[ReturnPoint, ...]
    n_tasks: int
    rewards_seen: str = ""
    tuned: dict[str, float] = field(default_factory=dict)
    worst: float | None = None
    worst_goal: tuple[float, ...] = ()
    per_task: tuple[float, ...] = field(default=(), repr=False)
    per_goal: tuple[float, ...] = field(default=(), repr=False)

    @property
    def last(self) -> ReturnPoint:
        """The last step of adaptation."""
        return self.curve[-1]

    @property
    def best(self) -> ReturnPoint:
        """The step of adaptation with the largest mean return."""
        return max(self.curve, key=lambda point: point.mean)

    def within(self, episodes: int) -> ReturnPoint | None:
        """Return the last step of adaptation that takes no more than so many episodes; None if the first takes more."""
        return next((point for point in reversed(self.curve) if point.episodes <= episodes), None)

    def episodes_for(self, level: float) -> int | None:
        """Return after how many episodes the mean return is at least `level`; None if it never is."""
        return next((point.episodes for point in self.curve if point.mean >= level), None)


@dataclass(frozen=True)
class ReturnReport:
    """All rows of one evaluation.

    Attributes:
        benchmark: Whose tasks.
        process: Where.
        seed: Of the run that was scored.
        task_seed: Equal task seeds give equal tasks.
        rewards_seen: True rewards used in training and in the selection of what is shipped.
        facts: How far skills can be told apart, how much they cover, and whatever else a reader needs.
        rows: The results.
    """

    benchmark: str
    process: str
    seed: int
    task_seed: int
    rewards_seen: dict[str, Any]
    facts: dict[str, Any]
    rows: tuple[ReturnRow, ...]

    @property
    def budgets(self) -> list[int]:
        """Numbers of episodes at which the first method was scored."""
        return [point.episodes for point in self.rows[0].curve]

    def to_json(self) -> dict[str, Any]:
        """Return the report JSON-ready; each result also has its last and its best return."""
        results = []
        for row in self.rows:
            last, best = row.last, row.best
            results.append(asdict(row) | {"return": last.mean, "ci95": last.ci95, "best_return": best.mean, "best_episodes": best.episodes})
        names = ("benchmark", "process", "seed", "task_seed", "rewards_seen", "facts")
        return {name: getattr(self, name) for name in names} | {"results": results}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "ReturnReport":
        """Return the report that `to_json` wrote."""
        names = {one.name for one in fields(ReturnRow)}
        rows = []
        for result in content["results"]:
            row: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in result.items() if name in names
            }
            row["curve"] = tuple(ReturnPoint(**point) for point in result["curve"])
            rows.append(ReturnRow(**row))
        return cls(**{name: value for name, value in content.items() if name != "results"}, rows=tuple(rows))

    def table(self) -> str:
        """Return mean returns with their 95 % intervals as text: a line per method, a column per number of episodes that it had at most."""
        lines = [["method", *(f"{n} episodes" for n in self.budgets), "best", "worst goal", "tasks"]]
        for row in self.rows:
            within = [row.within(n) for n in self.budgets]
            cells = ["-" if point is None else f"{point.mean:.1f} ±{point.ci95:.1f}" for point in within]
            worst = "-" if row.worst is None else f"{row.worst:.1f}"
            best = f"{row.best.mean:.1f} at {row.best.episodes}"
            lines.append([row.method, *cells, best, worst, str(row.n_tasks)])
        return align(lines)


def curve_of(scores: Scores, episodes: Sequence[int], rng: Rng, oracle: Scores | None = None) -> tuple[ReturnPoint, ...]:
    """Return the points of a curve from the returns of every task at every stage.

    Args:
        scores: Shape [n_stage, n_task].
        episodes: Of adaptation, at each stage.
        rng: Of the bootstrap.
        oracle: Returns of the oracle on the same tasks.
    """
    points = []
    for stage, (values, spent) in enumerate(zip(scores.values, episodes, strict=True)):
        mean, ci95 = mean_ci95(values)
        low, high = bootstrap_interval(values, interquartile_mean, rng.fork("bootstrap", stage).numpy())
        known = oracle is not None and stage < len(oracle.values)
        regret = float(np.mean(oracle.values[stage] - values)) if known and oracle is not None else None
        points.append(ReturnPoint(spent, mean, ci95, interquartile_mean(values), low, high, regret))
    return tuple(points)
