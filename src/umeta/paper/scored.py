"""Knows on what terms a row of a table was made, and how its scores are kept."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from umeta.artifacts.artifact import read_json, write_json
from umeta.core.errors import ArtifactError
from umeta.evaluation.report import Report
from umeta.recipes.budget import written

TERMS = "terms.json"


@dataclass(frozen=True)
class Terms:
    """On what terms a row was made; those of one table may differ.

    Attributes:
        benchmark: Whose table.
        budget_s: Seconds to learn for a row and a seed, its embedding included; None where steps are given.
        steps: Steps of every trained stage, or None.
        n_tasks: Tasks of each kind that are scored.
        threads: Threads of torch and faiss; None leaves them as they are.
        shots: Support images a class of the tasks that are scored; None takes the benchmark's.
        embedding_share: Share of the budget for the embedding, where a row has one that is trained.
    """

    benchmark: str
    budget_s: float | None
    steps: int | None
    n_tasks: int
    threads: int | None = None
    shots: tuple[int, ...] | None = None
    embedding_share: float = 0.5

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Terms":
        """Return terms that were kept as JSON; earlier versions kept fewer."""
        return cls(**(content | {"shots": tuple(content["shots"]) if content.get("shots") else None}))

    @property
    def length(self) -> str:
        """How long a row learns, in words."""
        return f"{self.steps} steps a stage" if self.steps is not None else f"{(self.budget_s or 0) / 60:g} min"

    def command(self, rows: Sequence[str], n_seeds: int) -> str:
        """Return the command that makes rows on these terms; without rows, all of the table."""
        names = f" --rows {' '.join(rows)}" if rows else ""
        length = f"--steps {self.steps}" if self.steps is not None else f"--budget-per-row {written(self.budget_s or 0)}"
        length += "" if self.embedding_share == Terms.embedding_share else f" --embedding-share {self.embedding_share:g}"
        threads = "" if self.threads is None else f" --threads {self.threads}"
        shots = "" if self.shots is None else f" --shots {' '.join(map(str, self.shots))}"
        return f"umeta bench paper --benchmark {self.benchmark}{names} {length} --seeds {n_seeds} --tasks {self.n_tasks}{shots}{threads}"


@dataclass(frozen=True)
class Scored:
    """One row and seed, scored.

    Attributes:
        row: The row's name.
        seed: Of the run.
        terms: On which it was made.
        report: The rows of results that are this row's, one for each kind of task.
        learn_s: Seconds to learn, those for the embedding included.
        score_s: Seconds to score.
        threads: That learned.
        n_partitions: How many there were; 0 for none.
        purity: Mean over partitions of the agreement with true classes; None without partitions or without one class an image.
        nmi: The same as normalized mutual information.
        settings: The run's `config.json`.
    """

    row: str
    seed: int
    terms: Terms
    report: Report
    learn_s: float
    score_s: float
    threads: int
    n_partitions: int
    purity: float | None
    nmi: float | None
    settings: dict[str, Any]

    def write(self, path: Path) -> None:
        """Keep the scores; the accuracy of every task stays in the run folder."""
        content = {key: getattr(self, key) for key in self.__dataclass_fields__ if key not in ("report", "terms")}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, content | {"report": self.report.to_json(), "terms": asdict(self.terms)})

    @classmethod
    def read(cls, path: Path) -> "Scored":
        """Return what `write` kept; of a row that an earlier version kept, the terms are those of its whole table.

        Raises:
            ArtifactError: The row does not say its terms, and its table neither.
        """
        content = read_json(path)
        terms = content.pop("terms", None) or read_json(path.parent.parent / TERMS)
        if "n_tasks" not in terms:
            raise ArtifactError(f"{path} does not say on what terms it was made; take it away, or leave it with its own {TERMS}")
        return cls(**(content | {"report": Report.from_json(content["report"]), "terms": Terms.read(terms)}))
