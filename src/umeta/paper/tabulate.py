"""Knows how the rows of a table come about: embeddings once, runs that go on where they stopped, scores that are kept."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import faiss
import torch

from umeta.artifacts.artifact import read_artifact, read_json, write_json
from umeta.artifacts.run import is_run
from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.quality import classes_of, mean_agreement
from umeta.core.errors import InputError, InterruptedRunError, UmetaError
from umeta.core.progress import Quiet, Reporter
from umeta.images.cache import ImageCache
from umeta.paper.entry import UNTRAINED, Entry
from umeta.paper.scored import TERMS, Scored, Terms
from umeta.recipes.budget import written
from umeta.recipes.learn import learn
from umeta.recipes.request import Request, resolve
from umeta.recipes.score import Question, score


@dataclass(frozen=True)
class Table:
    """One table in a folder: `runs/`, and the scored rows in `rows/`, each with its terms.

    Attributes:
        folder: Where everything goes.
        terms: On which rows are made now.
        reporter: Where progress goes.
        stop: Asked after every step whether to end early.
        overwrite: Whether rows that were made on other terms are made anew.
    """

    folder: Path
    terms: Terms
    reporter: Reporter = field(default_factory=Quiet)
    stop: Callable[[], bool] = lambda: False
    overwrite: bool = False

    def begin(self) -> None:
        """Take the folder for this table.

        Raises:
            InputError: It holds the table of another benchmark, or something else.
        """
        path = self.folder / TERMS
        if path.is_file():
            of = read_json(path).get("benchmark")
            if of != self.terms.benchmark:
                raise InputError(f"{self.folder} holds the table of {of}, not of {self.terms.benchmark}; choose another --out")
        elif self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise InputError(f"{self.folder} exists and holds no table; choose another --out")
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(path, {"benchmark": self.terms.benchmark})
        if self.terms.threads is not None:
            take_threads(self.terms.threads)

    def kept(self, entry: Entry, seed: int) -> Scored | None:
        """Return a row that was scored before and stays; None if it is to be made."""
        path = self._kept_at(entry, seed)
        kept = Scored.read(path) if path.is_file() else None
        return None if kept is not None and self.overwrite and kept.terms != self.terms else kept

    def scored(self) -> list[Scored]:
        """Return all rows that are scored in the folder, whoever made them."""
        return [Scored.read(path) for path in sorted((self.folder / "rows").glob("*.json"))]

    def make(self, entry: Entry, seed: int) -> Scored:
        """Learn what a row needs, as far as it is not there, score it, and keep the scores.

        Raises:
            InterruptedRunError: Somebody asked to stop; what is done is saved.
            UmetaError: The row failed.
        """
        run, learn_s = self._learned(entry, seed)
        began = time.monotonic()
        self.reporter.stage(f"{named((entry, seed))}: scoring")
        methods = None if entry.method is None else (entry.method,)
        question = Question(
            self.terms.benchmark,
            entry.protocol,
            shots=self.terms.shots,
            n_tasks=self.terms.n_tasks,
            baselines=methods is not None,
            methods=methods,
            own=not methods,
        )
        report = score(run, question, self.reporter)
        if not report.rows:
            raise UmetaError(f"the run {run} has no method {entry.method!r} to score")
        manifest = read_json(run / "manifest.json")
        purity, nmi = self._quality(entry, run)
        scored = Scored(
            row=entry.name,
            seed=seed,
            terms=self.terms,
            report=report,
            learn_s=round(learn_s, 1),
            score_s=round(time.monotonic() - began, 1),
            threads=manifest["threads"],
            n_partitions=manifest["n_partitions"] if purity is not None else 0,
            purity=purity,
            nmi=nmi,
            settings=read_json(run / "config.json"),
        )
        scored.write(self._kept_at(entry, seed))
        return scored

    def embed(self, entry: Entry, seed: int) -> tuple[Path, float]:
        """Train the embedding that a row shares with others, as far as it is not there; returns its run folder and the seconds it took.

        Raises:
            InterruptedRunError: Somebody asked to stop; what is done is saved.
            UmetaError: It failed.
        """
        return self._run(entry.embedder().name, self._embedding(entry, seed))

    def seconds(self, entry: Entry) -> tuple[float, float]:
        """Return how long a row and seed may learn by itself, and its embedding, which other rows share; 0 where steps are counted."""
        whole = self.terms.budget_s or 0.0
        if entry.embedding is None:
            return whole, 0.0
        shared = 0.0 if entry.embedding in UNTRAINED else whole * self.terms.embedding_share
        return (whole - shared if entry.method is None else 0.0), shared

    def finished(self, entry: Entry, seed: int) -> bool:
        """Return whether a row's own run has been learned, for as long as is asked now."""
        return (self._run_at(entry.run, self._own(entry, seed)) / "manifest.json").is_file()

    def embedded(self, entry: Entry, seed: int) -> bool:
        """Return whether the run that trains a row's embedding has been learned, for as long as is asked now."""
        return (self._run_at(entry.embedder().name, self._embedding(entry, seed)) / "manifest.json").is_file()

    def _run_at(self, name: str, request: Request) -> Path:
        """Return the folder of a run; one that was learned for another time keeps its own, for rows may have been made of it."""
        path = self.folder / "runs" / f"{name}-seed{request.seed}"
        length = {"budget_s": request.budget_s, "steps": request.steps}
        if not is_run(path) or length.items() <= read_json(path / "config.json").items():
            return path
        other = f"{request.steps}-steps" if request.steps is not None else written(request.budget_s or 0)
        return path.with_name(f"{path.name}-{other}")

    def _kept_at(self, entry: Entry, seed: int) -> Path:
        return self.folder / "rows" / f"{entry.name}-seed{seed}.json"

    def _learned(self, entry: Entry, seed: int) -> tuple[Path, float]:
        """Return the run folder of a row, finished, and the seconds that it took, its embedding included."""
        taken, before_s = None, 0.0
        if entry.embedding is not None:
            taken, before_s = self.embed(entry, seed)
            if entry.method is not None:
                return taken, before_s
        path, own_s = self._run(entry.name, self._own(entry, seed, taken))
        return path, own_s + before_s

    def _embedding(self, entry: Entry, seed: int) -> Request:
        """Return the request behind the run that trains a row's embedding."""
        steps = 1 if entry.embedding in UNTRAINED else self.terms.steps
        return self._request(entry.embedder(), seed, self.seconds(entry)[1], steps)

    def _own(self, entry: Entry, seed: int, taken: Path | None = None) -> Request:
        """Return the request behind the run that a row is read off, its embedding taken from a run that has trained it."""
        if entry.method is not None:
            return self._embedding(entry, seed)
        return self._request(entry, seed, self.seconds(entry)[0], self.terms.steps, taken)

    def _request(self, entry: Entry, seed: int, budget_s: float, steps: int | None, taken: Path | None = None) -> Request:
        recipe = entry.setting(None if taken is None else str(taken))
        protocol = entry.learned_on or entry.protocol
        return resolve(
            self.terms.benchmark, recipe, protocol=protocol, budget_s=None if steps is not None else budget_s, steps=steps, seed=seed
        )

    def _run(self, name: str, request: Request) -> tuple[Path, float]:
        path = self._run_at(name, request)
        finished = (path / "manifest.json").is_file()
        if not finished:
            self.reporter.note(f"learning {name}, seed {request.seed}")
        manifest = learn(request, path, resume=path.is_dir(), reporter=Quiet() if finished else self.reporter, stop=self.stop)
        return path, float(manifest["elapsed_s"])

    def _quality(self, entry: Entry, run: Path) -> tuple[float | None, float | None]:
        """Return purity and information of the partitions that a row is made of, by labels that its learner did not see."""
        made_of = entry.method is None or "cluster-" in entry.method
        if not (made_of and (run / "partition").is_dir()):
            return None, None
        benchmark = get_benchmark(self.terms.benchmark)
        protocol = entry.learned_on or entry.protocol
        splits = [benchmark.split(protocol, "meta_train")]
        if len(splits[0].labelings) != 1:
            return None, None
        hashes = ImageCache.open(run / "cache").hashes
        classes = classes_of(hashes, splits)
        if (classes < 0).any():
            classes = classes_of(hashes, [*splits, benchmark.split(protocol, "meta_val")])
        labels = read_artifact(run / "partition", "partition")[0]["labels"].numpy()
        found = mean_agreement(labels, classes)
        return round(found.purity, 4), round(found.nmi, 4)


Piece = tuple[Entry, int]
"""A row and a seed."""

Makes = Callable[[Table, Sequence[Piece]], Generator[tuple[Piece, UmetaError | None], None, None]]
"""Makes rows that are missing, and tells of each, in whatever order they end, what made it fail; None if nothing did. Raises
`InterruptedRunError` when somebody asked to stop."""


def take_threads(n: int) -> None:
    """Let torch and faiss have so many threads in this process."""
    torch.set_num_threads(n)
    faiss.omp_set_num_threads(n)


def one_by_one(table: Table, missing: Sequence[Piece]) -> Generator[tuple[Piece, UmetaError | None], None, None]:
    """Make rows in this process, one after the other."""
    for number, (entry, seed) in enumerate(missing):
        if table.stop():
            raise InterruptedRunError(f"stopped after {number} of {len(missing)} rows")
        try:
            table.make(entry, seed)
        except InterruptedRunError:
            raise
        except UmetaError as error:
            yield (entry, seed), error
        else:
            yield (entry, seed), None


def make_rows(
    table: Table, entries: Sequence[Entry], n_seeds: int, report: Callable[[dict[str, str]], None], makes: Makes = one_by_one
) -> dict[str, str]:
    """Make the rows that are missing, seed by seed so that every row has its first one early, and write the table after each.

    Args:
        table: Where they go.
        entries: Which rows.
        n_seeds: Runs of each row; a row in which nothing is drawn at random has one all the same.
        report: Called with all failures so far after every row.
        makes: Who makes them.

    Returns:
        What became of rows that failed, by "row, seed n"; they are tried again the next time.

    Raises:
        InterruptedRunError: Somebody asked to stop.
    """
    table.begin()
    wanted = [(entry, seed) for seed in range(n_seeds) for entry in entries if seed in entry.seeds(n_seeds)]
    missing = [(entry, seed) for entry, seed in wanted if table.kept(entry, seed) is None]
    failed: dict[str, str] = {}
    report(failed)
    with closing(makes(table, missing)) as made:
        for piece, error in made:
            if error is not None:
                failed[named(piece)] = str(error)
                table.reporter.note(f"{named(piece)} failed: {error}")
            report(failed)
    return failed


def named(piece: Piece) -> str:
    """Return what a row and seed is called."""
    return f"{piece[0].name}, seed {piece[1]}"
