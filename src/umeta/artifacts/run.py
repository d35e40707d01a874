"""Knows the run folder: what is in it, who may write to it, and where a stopped run goes on."""

import csv
import fcntl
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from torch.utils.tensorboard import SummaryWriter

from umeta.artifacts.artifact import read_artifact, read_json, sha256, write_artifact, write_json
from umeta.core.errors import ArtifactError, InputError, UmetaError
from umeta.core.loop import Pace, Position
from umeta.core.metalearner import Metrics, StateT, TrainState
from umeta.core.progress import Reporter

KEPT_CHECKPOINTS = 2
CHECKPOINT_EVERY_S = 20.0
METRICS_EVERY_S = 5.0
PROBE_EVERY_S = 60.0
METRICS_HEADER = ("stage", "step", "elapsed_s", "name", "value")
LOCK = ".lock"
REPLACED = ".replaced"
KEPT_AFTER_BAD_INPUT = {LOCK, REPLACED, "cache.skipped.csv"}


class RunFolder:
    """One run on disk: `config.json`, `manifest.json`, `metrics.csv`, TensorBoard events, `checkpoint/`, `procedure/`.

    Make one by `start`; close it by `release`.

    Args:
        path: The folder.
        lock: The open file that keeps other processes out.
        elapsed_s: Seconds that earlier parts of this run have spent.
        fresh: Whether it began just now.
    """

    def __init__(self, path: Path, lock: TextIO, elapsed_s: float, *, fresh: bool) -> None:
        self.path = path
        self.finished = (path / "manifest.json").is_file()
        self._lock = lock
        self._began = time.monotonic() - elapsed_s
        self._fresh = fresh
        self._abandoned = False

    @classmethod
    def start(
        cls, path: Path, config: dict[str, Any], *, resume: bool, overwrite: bool, usual: Mapping[str, Any] | None = None
    ) -> "RunFolder":
        """Take possession of a run folder.

        Args:
            path: The folder.
            config: What was asked for, JSON-ready.
            resume: Go on with the run that it holds, if it holds one.
            overwrite: Replace that run.
            usual: What a setting of the recipe is that the run lacks, for an earlier version made it; see `defaults_of`.

        Raises:
            InputError: It exists and neither `resume` nor `overwrite` was asked for; it holds a run with another configuration; it is
                not a run folder, or lies inside one; another process is at work in it.
            UmetaError: It cannot be written.
        """
        if resume and overwrite:
            raise InputError("give --resume or --overwrite, not both")
        try:
            occupied = path.exists() and (not path.is_dir() or any(entry.name not in KEPT_AFTER_BAD_INPUT for entry in path.iterdir()))
            was = _config_of(path)
            if occupied and not (resume or overwrite):
                raise InputError(f"{path} exists; go on with --resume, start anew with --overwrite, or choose another --out")
            if occupied and not was:
                raise InputError(f"{path} is not a run folder, so it is left alone; choose another --out")
            changed = _told(_filled(was, usual or {}), json.loads(json.dumps(config)))
            if resume and was and changed:
                raise InputError(f"{path} holds a run with other settings ({changed}); resume with the same, or use --overwrite")
            around = next((folder for folder in path.absolute().parents if is_run(folder)), None)
            if around is not None and not was:
                raise InputError(f"{path} lies inside the run {around}; choose another --out")
            path.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(path / LOCK)
            if not resume:
                own = [entry for entry in path.iterdir() if entry.name not in (LOCK, REPLACED)]
                # A run that was set aside before, and not replaced after all, is the one to keep.
                _remove(own) if not was or (path / REPLACED).is_dir() else _set_aside(own, path / REPLACED)
            _remove(stale for mark in ("tmp", "old") for depth in ("", "*/") for stale in list(path.glob(f"{depth}*.{mark}-*")))
        except OSError as error:
            raise UmetaError(f"cannot write to {path}: {error.strerror or error}; choose another --out") from error
        elapsed_s = 0.0
        if (path / "progress.json").is_file():
            elapsed_s = float(read_json(path / "progress.json").get("elapsed_s", 0.0))
        fresh = not (resume and was)
        if fresh:
            write_json(path / "config.json", config)
        return cls(path, lock, elapsed_s, fresh=fresh)

    @property
    def elapsed_s(self) -> float:
        """Seconds that this run has taken so far, those before a stop included."""
        return time.monotonic() - self._began

    def count(self, seconds: float) -> None:
        """Add time that was spent on this run before its folder was opened."""
        self._began -= seconds

    def remember(self, key: str, make: Callable[[], Any]) -> Any:
        """Return a JSON value that is decided once in the life of a run and then kept, such as a stage's share of the budget."""
        content = self._progress()
        if key not in content:
            content[key] = make()
            write_json(self.path / "progress.json", content | {"elapsed_s": self.elapsed_s})
        return content[key]

    def note_elapsed(self) -> None:
        """Save the time spent, so that a resumed run keeps its budget."""
        write_json(self.path / "progress.json", self._progress() | {"elapsed_s": self.elapsed_s})

    def _progress(self) -> dict[str, Any]:
        path = self.path / "progress.json"
        return read_json(path) if path.is_file() else {}

    def save_checkpoint(self, stage: str, position: Position, state: TrainState) -> None:
        """Save a stage's state and keep the last two; a run that was here before is now taken away."""
        self._settle()
        info = {"stage": stage, "step": position.step, "elapsed_s": position.elapsed_s, "progress": position.progress}
        write_artifact(self.path / "checkpoint" / f"{stage}-{position.step:09d}", "checkpoint", state.tensors(), info)
        for old in self._checkpoints(stage)[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old)
        self.note_elapsed()

    def load_checkpoint(self, stage: str, state: StateT) -> Position | None:
        """Load the newest whole checkpoint of a stage into `state`; None if there is none."""
        for folder in reversed(self._checkpoints(stage)):
            try:
                tensors, info = read_artifact(folder, "checkpoint")
            except ArtifactError:
                continue
            state.load_tensors(tensors)
            return Position(info["step"], info["elapsed_s"], info["progress"])
        return None

    def steps(self) -> dict[str, int]:
        """Return how many steps each trained stage has done, by its newest checkpoint."""
        found = (folder.name.rpartition("-") for folder in self._checkpoints("*"))
        return {stage: int(step) for stage, _, step in found}

    def _checkpoints(self, stage: str) -> list[Path]:
        return sorted((self.path / "checkpoint").glob(f"{stage}-?????????"))

    def _settle(self) -> None:
        if (self.path / REPLACED).is_dir():
            _remove([self.path / REPLACED])

    def finish(self, manifest: Mapping[str, Any], files: Mapping[str, Path]) -> None:
        """Write the manifest: versions, machine, time, what was seen, and the hash of each file named."""
        self._settle()
        versions = {name: metadata.version(name) for name in ("umeta", "torch", "numpy", "faiss-cpu", "safetensors")}
        machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
        content = {
            "format": 1,
            **manifest,
            "elapsed_s": round(self.elapsed_s, 1),
            "versions": versions,
            "machine": machine,
            "sha256": {name: sha256(path) for name, path in files.items()},
        }
        write_json(self.path / "manifest.json", content)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Work in the folder: input that cannot be used takes away what began just now, and in the end another process may work here."""
        try:
            yield
        except InputError:
            self.abandon()
            raise
        finally:
            self.release()

    def release(self) -> None:
        """Save the time spent, and let another process work in the folder."""
        try:
            if not (self.finished or self._abandoned) and (self.path / "config.json").is_file():
                self.note_elapsed()
        finally:
            self._lock.close()

    def abandon(self) -> None:
        """Take away what a run that began just now has written, after input that it cannot use; the list of bad images stays.

        A run that it was to replace is there again as it was.
        """
        if self._fresh:
            _remove(entry for entry in self.path.iterdir() if entry.name not in KEPT_AFTER_BAD_INPUT)
            if (self.path / REPLACED).is_dir():
                for entry in list((self.path / REPLACED).iterdir()):
                    entry.replace(self.path / entry.name)
                self._settle()
                self._abandoned = True
            if {entry.name for entry in self.path.iterdir()} == {LOCK}:
                _remove([self.path])


def is_run(path: Path) -> bool:
    """Whether a folder holds a run, finished or not."""
    return bool(_config_of(path))


def _config_of(path: Path) -> dict[str, Any]:
    """Return the configuration of a run folder; empty if it is none, also where a `config.json` is of something else."""
    try:
        config = read_json(path / "config.json")
    except ArtifactError:
        return {}
    return config if {"source", "recipe", "seed"} <= config.keys() else {}


def defaults_of(settings: object) -> dict[str, Any]:
    """Return the defaults of a dataclass, of fields with plain ones: what an earlier version did that did not have the field."""
    assert is_dataclass(settings)
    return {each.name: each.default for each in fields(settings) if each.default is not MISSING}


def _filled(config: dict[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    recipe = config.get("recipe")
    return config | {"recipe": {**json.loads(json.dumps(usual)), **recipe}} if isinstance(recipe, dict) else config


def _told(was: dict[str, Any], now: dict[str, Any]) -> str:
    """Return what changed; of two recipes no more than their names, for all else follows from these."""
    recipes = [config["recipe"].get("name") if isinstance(config.get("recipe"), dict) else None for config in (was, now)]
    if recipes[0] == recipes[1]:
        return ", ".join(_changes(was, now))
    others = _changes(*({key: value for key, value in config.items() if key != "recipe"} for config in (was, now)))
    return ", ".join([f"recipe was {recipes[0]}, now {recipes[1]}", *others])


def _changes(was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for key in sorted({*was, *now}):
        old, new = was.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new)
        elif old != new:
            yield f"{key} was {old!r}, now {new!r}"


def _take_lock(path: Path) -> TextIO:
    """Return an open file that the system unlocks when this process ends, however it ends."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise InputError(f"another process is at work in {path.parent}; wait for it or choose another --out") from error
    return file


def _set_aside(entries: Iterable[Path], folder: Path) -> None:
    folder.mkdir()
    for entry in entries:
        entry.replace(folder / entry.name)


def _remove(entries: Iterable[Path]) -> None:
    for entry in entries:
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


class StageObserver:
    """Watches one stage of a run: metrics, progress, checkpoints, and the wish to stop.

    Args:
        run: The folder.
        stage: The stage's name in files.
        pace: The stage's pace, for the line that is shown.
        reporter: Where progress goes.
        stop: Whether somebody asked to stop.
        shown: The metric on the progress line.
        start_step: Metrics after this step, left by a killed run, are dropped.
        probe: What else to measure of the state when it is saved, once a minute and at the end; None measures nothing.
    """

    def __init__(
        self,
        run: RunFolder,
        stage: str,
        pace: Pace,
        reporter: Reporter,
        stop: Callable[[], bool],
        shown: str,
        start_step: int,
        probe: Callable[[Any], Metrics] | None = None,
    ) -> None:
        self._probe = probe
        self._run, self._stage, self._pace, self._reporter, self._stop, self._shown = (
            run,
            stage,
            pace,
            reporter,
            stop,
            shown,
        )
        self._average: dict[str, float] = {}
        self._last_metrics = self._last_checkpoint = self._last_probe = time.monotonic()
        self._path = run.path / "metrics.csv"
        self._drop_after(start_step)
        self._events = SummaryWriter(str(run.path / "events"), purge_step=start_step)

    def _drop_after(self, step: int) -> None:
        if not self._path.exists():
            self._write([METRICS_HEADER])
            return
        with self._path.open(newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == len(METRICS_HEADER)]
        kept = [row for row in rows if row[0] != self._stage or int(row[1]) <= step]
        if len(kept) < len(rows):
            self._path.unlink()
            self._write(kept)

    def _write(self, rows: list[Any]) -> None:
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerows(rows)

    def on_step(self, position: Position, metrics: Metrics) -> None:
        """Show progress, and every few seconds write the running averages."""
        for name, value in metrics.items():
            self._average[name] = 0.95 * self._average.get(name, value) + 0.05 * value
        rate = position.step / max(position.elapsed_s, 1e-3)
        shown = f"step {position.step}, {rate:.1f}/s  {self._shown} {self._average[self._shown]:.4f}"
        self._reporter.update(position.progress, shown)
        now = time.monotonic()
        if position.step == 1 or position.progress >= 1.0 or now - self._last_metrics >= METRICS_EVERY_S:
            self._last_metrics = now
            self._record(position, self._average)

    def _record(self, position: Position, metrics: Metrics) -> None:
        self._write([(self._stage, position.step, f"{position.elapsed_s:.1f}", name, f"{value:.6g}") for name, value in metrics.items()])
        for name, value in metrics.items():
            self._events.add_scalar(f"{self._stage}/{name}", value, position.step)

    def wants_checkpoint(self, position: Position) -> bool:
        """Whether the last save is long ago, or the stage is over."""
        return position.progress >= 1.0 or time.monotonic() - self._last_checkpoint >= CHECKPOINT_EVERY_S

    def save(self, position: Position, state: StateT) -> None:
        """Write a checkpoint, and measure what the probe asks."""
        self._run.save_checkpoint(self._stage, position, state)
        if self._probe is not None and (position.progress >= 1.0 or time.monotonic() - self._last_probe >= PROBE_EVERY_S):
            self._record(position, self._probe(state))
            self._last_probe = time.monotonic()
        self._last_checkpoint = time.monotonic()

    def wants_stop(self) -> bool:
        """Whether somebody asked to stop."""
        return self._stop()

    def close(self) -> None:
        """Write out what TensorBoard holds back."""
        self._events.close()
