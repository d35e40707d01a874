"""Knows how rows are made side by side by processes that Ray starts: which of them wait for each other, and how all end."""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from umeta.core.errors import InterruptedRunError, UmetaError
from umeta.paper.entry import Entry
from umeta.paper.scored import Terms
from umeta.paper.tabulate import Makes, Piece, Table, named, take_threads
from umeta.recipes.mailbox import EXCHANGE_S, Mailbox, Voice
from umeta.recipes.on_ray import last_line, placed, started, threads_each
from umeta.recipes.ray_data import MOST_LOSSES


@dataclass(frozen=True)
class Order:
    """What every worker is told.

    Attributes:
        folder: The table's, on a file system that all workers see.
        terms: On which rows are made.
        overwrite: Whether rows that were made on other terms are made anew.
        place: Where relative paths begin.
        n_threads: Of each worker.
        mailbox: The actor through which workers and command talk.
    """

    folder: Path
    terms: Terms
    overwrite: bool
    place: Path
    n_threads: int
    mailbox: Any


@dataclass(frozen=True)
class Work:
    """A row and seed to be made, or the embedding that it shares with others to be trained.

    Attributes:
        entry: The row.
        seed: Of its run.
        embeds: Whether it is the embedding.
    """

    entry: Entry
    seed: int
    embeds: bool = False

    @property
    def shared(self) -> tuple[str, int] | None:
        """Name and seed of the run that trains the row's embedding, which rows of one embedding share; None for a row without one."""
        return None if self.entry.embedding is None else (self.entry.embedder().name, self.seed)

    @property
    def writes(self) -> tuple[str, int] | None:
        """The shared run whose folder this writes to: training it, or leaving in it what a baseline on it scored."""
        return self.shared if self.embeds or self.entry.method is not None else None

    def __str__(self) -> str:
        """Return what it is called."""
        return f"{self.entry.embedder().name}, seed {self.seed}" if self.embeds else named((self.entry, self.seed))


class Labeled:
    """A reporter in a worker, of which the command hears what is noted, with the name of the work; many bars at once would say nothing.

    Args:
        voice: Through which it is heard.
        name: Of the work.
    """

    def __init__(self, voice: Voice, name: str) -> None:
        self._voice, self._name = voice, name

    def stage(self, name: str) -> None:
        """Say nothing."""

    def update(self, done: float, text: str = "") -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say one thing."""
        self._voice.note(f"{self._name}: {text}")


def do(order: Order, work: Work) -> UmetaError | None:
    """Do one piece of work in a worker; returns what made it fail. A worker that takes it over goes on where a lost one was."""
    os.chdir(order.place)
    voice = Voice(order.mailbox)
    table = Table(order.folder, order.terms, Labeled(voice, str(work)), voice.stop, order.overwrite)
    take_threads(order.n_threads)
    try:
        table.embed(work.entry, work.seed) if work.embeds else table.make(work.entry, work.seed)
    except UmetaError as error:
        return error.with_traceback(None)
    finally:
        voice.speak()
    return None


@dataclass
class Agenda:
    """What is to be done and what is being done.

    Attributes:
        waiting: In the order in which it is wanted.
        running: In no order.
    """

    waiting: list[Work]
    running: list[Work] = field(default_factory=list)

    @classmethod
    def of(cls, table: Table, missing: Sequence[Piece]) -> "Agenda":
        """Return all that makes these rows; the embedding of several is trained once, before them."""
        agenda = cls([])
        for entry, seed in missing:
            row, embedding = Work(entry, seed), Work(entry, seed, embeds=True)
            if entry.embedding is not None and row.shared not in agenda._untrained and not table.embedded(entry, seed):
                agenda.waiting.append(embedding)
            agenda.waiting.append(row)
        return agenda

    @property
    def _untrained(self) -> set[tuple[str, int] | None]:
        return {work.shared for work in (*self.waiting, *self.running) if work.embeds}

    def begin(self) -> Work | None:
        """Take the first work that can be done now: its embedding is trained, and nobody writes to the folder that it writes to."""
        taken = {work.writes for work in self.running} - {None}
        for work in self.waiting:
            if work.writes not in taken and (work.embeds or work.shared not in self._untrained):
                self.waiting.remove(work)
                self.running.append(work)
                return work
        return None

    def end(self, work: Work, error: UmetaError | None) -> list[tuple[Piece, UmetaError | None]]:
        """Note that work has ended; returns what became of rows by that, of all that wait for an embedding where that failed."""
        self.running.remove(work)
        if not work.embeds:
            return [((work.entry, work.seed), error)]
        if error is None:
            return []
        hopeless = [row for row in self.waiting if row.shared == work.shared]
        self.waiting = [row for row in self.waiting if row not in hopeless]
        return [((row.entry, row.seed), error) for row in hopeless]


@contextmanager
def side_by_side(
    folder: Path, *, n_workers: int | None = None, n_threads: int | None = None, address: str | None = None
) -> Iterator[Makes]:
    """Start or join Ray, as `umeta.recipes.on_ray.started` does, for as long as rows are made side by side.

    Args:
        folder: The table's; workers on other machines need it on a file system in common.
        n_workers: How many rows at once; None is as many as there are processors for.
        n_threads: Of each worker; None is as many as `OMP_NUM_THREADS` says, 1 without it.
        address: "host:port" of a cluster that this machine is part of; None starts one here.

    Yields:
        For `make_rows`, who makes the rows.

    Raises:
        InputError: Processors are too few; and as `started`.
    """
    setting = "OMP_NUM_THREADS=" if n_threads is None else "--threads "
    n_threads = n_threads or threads_each()
    with started(address, folder, lambda n_processors: placed(n_workers, n_threads, n_processors, setting)) as (n_at_once, _):
        yield partial(_made, n_at_once, n_threads)


def _made(n_at_once: int, n_threads: int, table: Table, missing: Sequence[Piece]) -> Generator[tuple[Piece, UmetaError | None], None, None]:
    """Make rows, at most so many at once; when somebody asks to stop, all that are being made stop and save what they have."""
    import ray

    mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
    order = Order(table.folder, table.terms, table.overwrite, Path.cwd(), n_threads, mailbox)
    hand_out = ray.remote(num_cpus=n_threads, max_retries=MOST_LOSSES)(do)
    agenda, n_ended, stopping = Agenda.of(table, missing), 0, False
    running: dict[Any, Work] = {}
    table.reporter.stage("rows")
    while agenda.waiting or running:
        stopping = stopping or table.stop()
        while not stopping and len(running) < n_at_once and (work := agenda.begin()) is not None:
            running[hand_out.remote(order, work)] = work
        if not running:
            break
        ended, _ = ray.wait([*running], timeout=EXCHANGE_S)
        for name, *values in ray.get(mailbox.take.remote(stopping)):
            getattr(table.reporter, name)(*values)
        table.reporter.update(n_ended / len(missing), f"{n_ended} of {len(missing)} rows, at work: {', '.join(map(str, running.values()))}")
        for made in ended:
            for piece, why in agenda.end(running.pop(made), _failure(made)):
                if not isinstance(why, InterruptedRunError):
                    n_ended += 1
                    yield piece, why
    if n_ended < len(missing):
        raise InterruptedRunError(f"stopped after {n_ended} of {len(missing)} rows")


def _failure(made: Any) -> UmetaError | None:
    """Return what made a piece of work fail, its worker being lost too often included."""
    import ray

    try:
        failure: UmetaError | None = ray.get(made)
    except ray.exceptions.RayError as error:
        return UmetaError(f"{last_line(error)}; the same command tries it again")
    return failure
