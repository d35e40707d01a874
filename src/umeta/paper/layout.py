"""Knows how a table is laid out: ours beside the published numbers, with all that is needed to read them rightly."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from scipy.stats import t as student

from umeta.artifacts.artifact import write_json
from umeta.evaluation.report import Row
from umeta.paper.entry import Entry, by_lack
from umeta.paper.published import Published, published, sources
from umeta.paper.scored import Scored, Terms

CLOSE = 2.0
RATHER_NOT = "other protocol"


@dataclass(frozen=True)
class Cell:
    """One kind of task of one row, in percent.

    Attributes:
        kind: Such as "5w1s".
        accuracy: Ours, the mean over seeds.
        ci95: Half-width of its 95 % interval: over seeds by Student's t, or with one seed over tasks.
        published: The paper's; None where there is none.
    """

    kind: str
    accuracy: float
    ci95: float
    published: float | None

    @property
    def text(self) -> str:
        """Ours and the interval, then the published number."""
        half = f" ±{self.ci95:.2f}" if math.isfinite(self.ci95) else ""
        return f"{self.accuracy:.2f}{half} / {'-' if self.published is None else f'{self.published:.2f}'}"


@dataclass(frozen=True)
class Line:
    """One row of the table, as made on one set of terms.

    Attributes:
        row: The row's name.
        title: What the table calls it.
        protocol: Under which ours was scored.
        cells: One for each kind of task.
        verdict: How ours stands to the published number at the kind where it stands worst.
        published: What was published; None if nothing is known.
        labels_seen: Before the support set of a task.
        transductive: Whether predictions depend on other queries.
        n_query: Queries a class.
        n_tasks: Tasks of each kind.
        seeds: That were learned with.
        terms: On which it was made.
        minutes: To learn, the mean over seeds, the embedding included.
        threads: That learned.
        n_partitions: Mean over seeds; 0 for none.
        purity: Mean over seeds; None where nothing was cut, or images have no one class.
        nmi: The same.
    """

    row: str
    title: str
    protocol: str
    cells: tuple[Cell, ...]
    verdict: str
    published: Published | None
    labels_seen: int
    transductive: bool
    n_query: int
    n_tasks: int
    seeds: tuple[int, ...]
    terms: Terms
    minutes: float
    threads: tuple[int, ...]
    n_partitions: float
    purity: float | None
    nmi: float | None


def line_of(entry: Entry, scored: Sequence[Scored], known: Published | None) -> Line:
    """Return the row of the table that the scores of all seeds make.

    Args:
        entry: Which row.
        scored: At least one, all on the same terms.
        known: What was published.
    """
    kinds: dict[str, list[Row]] = {}
    for one in scored:
        for row in one.report.rows:
            kinds.setdefault(f"{row.n_way}w{row.k_shot}s", []).append(row)
    cells = tuple(
        Cell(kind, *spread([(100 * row.accuracy, 100 * row.ci95) for row in rows]), None if known is None else known.accuracy.get(kind))
        for kind, rows in kinds.items()
    )
    first = scored[0].report.rows[0]
    purities, nmis = ([value for one in scored if (value := getattr(one, name)) is not None] for name in ("purity", "nmi"))
    return Line(
        row=entry.name,
        title=entry.title,
        protocol=entry.protocol,
        cells=cells,
        verdict=verdict(cells, entry.protocol, known),
        published=known,
        labels_seen=first.labels_seen,
        transductive=first.transductive,
        n_query=first.n_query,
        n_tasks=min(row.n_tasks for rows in kinds.values() for row in rows),
        seeds=tuple(sorted(one.seed for one in scored)),
        terms=scored[0].terms,
        minutes=mean(one.learn_s for one in scored) / 60,
        threads=tuple(sorted({one.threads for one in scored})),
        n_partitions=mean(one.n_partitions for one in scored),
        purity=mean(purities) if purities else None,
        nmi=mean(nmis) if nmis else None,
    )


def spread(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return mean and half-width: over seeds by Student's t, or of one seed its own interval over tasks.

    Args:
        values: Accuracy and interval over tasks, one pair for each seed.
    """
    if len(values) == 1:
        return values[0]
    accuracies = [accuracy for accuracy, _ in values]
    return mean(accuracies), float(student.ppf(0.975, len(values) - 1) * stdev(accuracies) / math.sqrt(len(values)))


def verdict(cells: Sequence[Cell], protocol: str, known: Published | None) -> str:
    """Return how ours stands to the published numbers where it stands worst: at or above, within 2 points, or below by so much."""
    behind = [(cell.published - cell.accuracy, cell.kind) for cell in cells if cell.published is not None]
    if known is None or not behind:
        return "nothing published"
    most, kind = max(behind)
    found = f"below by {most:.1f} ({kind})" if most > CLOSE else "within 2 points" if most > 0 else "at or above"
    return found if known.protocol == protocol else f"{found}; {RATHER_NOT}: {known.protocol}"


@dataclass(frozen=True)
class Page:
    """The table as a whole.

    Attributes:
        benchmark: Whose table.
        lines: Its rows.
        lacking: What this version of umeta lacks for rows that are left out, by name.
        failed: What became of rows that failed.
    """

    benchmark: str
    lines: tuple[Line, ...]
    lacking: Mapping[str, str]
    failed: Mapping[str, str]

    @classmethod
    def lay_out(
        cls, benchmark: str, entries: Sequence[Entry], scored: Sequence[Scored], lacking: Mapping[str, str], failed: Mapping[str, str]
    ) -> "Page":
        """Put scores into the order of the rows; those of a row that were made on other terms are a line of their own."""
        known = published(benchmark)
        lines = []
        for entry in entries:
            own = [one for one in scored if one.row == entry.name]
            for terms in dict.fromkeys(one.terms for one in own):
                lines.append(line_of(entry, [one for one in own if one.terms == terms], known.get(entry.name)))
        return cls(benchmark, tuple(lines), lacking, failed)

    def commands(self) -> list[str]:
        """Return the commands that make the table's rows, each with the rows of the same terms and seeds."""
        rows: dict[tuple[Terms, int], list[str]] = {}
        for line in self.lines:
            rows.setdefault((line.terms, max(line.seeds) + 1), []).append(line.row)
        return [terms.command(names, n_seeds) for (terms, n_seeds), names in rows.items()]

    def to_json(self) -> dict[str, Any]:
        """Return the table JSON-ready, with the sources of what was published, and the commands."""
        used = {line.published.source for line in self.lines if line.published is not None}
        cited = {key: asdict(source) for key, source in sources().items() if key in used}
        return asdict(self) | {"sources": cited, "commands": self.commands()}

    def write(self, folder: Path) -> None:
        """Write `table.json`, `table.csv` and `table.md`."""
        write_json(folder / "table.json", self.to_json())
        (folder / "table.md").write_text(self.markdown(), encoding="utf-8")
        names = ("row", "title", "protocol", "n_query", "n_tasks", "labels_seen", "transductive", "verdict", "minutes")
        tail = ("n_partitions", "purity", "nmi")
        with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(
                [
                    *names,
                    *tail,
                    "budget_s",
                    "steps",
                    "threads",
                    "seeds",
                    "kind",
                    "accuracy",
                    "ci95",
                    "published",
                    "published_protocol",
                    "source",
                ]
            )
            for line in self.lines:
                head = [getattr(line, name) for name in (*names, *tail)]
                of = ["", ""] if line.published is None else [line.published.protocol, line.published.source]
                for cell in line.cells:
                    counts = [line.terms.budget_s, line.terms.steps, "/".join(map(str, line.threads)), len(line.seeds)]
                    writer.writerow([*head, *counts, cell.kind, f"{cell.accuracy:.3f}", f"{cell.ci95:.3f}", cell.published, *of])

    def markdown(self) -> str:
        """Return the table and what a reader must know of it."""
        lines = [
            f"# The tables of the papers: {self.benchmark}",
            "",
            "Accuracy in %, ours ± 95 % interval (over seeds; with one seed over tasks) / published. Budget and minutes are those to learn",
            "a row with one seed, its embedding included. Purity and NMI of partitions are by true classes, which no learner saw.",
            "Color images are learned from at 84 x 84, as in the papers; in budgets under six hours ProtoNets' first block halves them",
            "twice, and MAML sees them at 42 x 42.",
            "",
            *(["```", *self.commands(), "```", ""] if self.lines else []),
        ]
        kinds = list(dict.fromkeys(cell.kind for line in self.lines for cell in line.cells))
        head = ["row", *kinds, "verdict", "protocol, queries", "labels seen", "transductive", "partitions", "purity", "NMI"]
        head += ["tasks", "seeds", "budget", "minutes x threads", "source"]
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join(_cells(line, kinds)) + " |" for line in self.lines]
        told = sources()
        keys = list(dict.fromkeys(line.published.source for line in self.lines if line.published is not None))
        lines += ["", "Published numbers:", ""] if keys else []
        for key in keys:
            source = told[key]
            note = "; ".join(part for part in (source.tasks, source.note) if part)
            lines.append(f"- `{key}`: {source.citation}. {note[0].upper() + note[1:]}.")
        notes = [(line, line.published.note) for line in self.lines if line.published is not None and line.published.note]
        lines += [f"- {line.title}: the published row is {note}." for line, note in notes]
        if self.lacking:
            lines += ["", "Left out, for this version of umeta has", ""]
            lines += [f"- {lack}: {names}" for lack, names in by_lack(self.lacking).items()]
        if self.failed:
            lines += ["", "Failed:", "", *(f"- {name}: {what}" for name, what in self.failed.items())]
        return "\n".join(lines) + "\n"


def _cells(line: Line, kinds: Sequence[str]) -> list[str]:
    by_kind = {cell.kind: cell.text for cell in line.cells}
    shares = ["" if value is None else f"{value:.2f}" for value in (line.purity, line.nmi)]
    return [
        line.title,
        *(by_kind.get(kind, "") for kind in kinds),
        line.verdict,
        f"{line.protocol}, {line.n_query}",
        str(line.labels_seen),
        "yes" if line.transductive else "no",
        f"{line.n_partitions:.0f}" if line.n_partitions else "",
        *shares,
        str(line.n_tasks),
        str(len(line.seeds)),
        line.terms.length,
        f"{line.minutes:.1f} x {'/'.join(map(str, line.threads))}",
        "" if line.published is None else line.published.source,
    ]
