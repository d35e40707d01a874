"""Rows side by side: who waits for whom, and a table by two workers of a Ray of their own, one of them killed."""

import importlib.util
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from umeta.core.errors import DivergedError, InputError, InterruptedRunError
from umeta.paper import beside
from umeta.paper.beside import Agenda, side_by_side
from umeta.paper.entry import SHEETS, Sheet, entries_of
from umeta.paper.scored import Terms
from umeta.paper.tabulate import Table, make_rows
from umeta.recipes import on_ray

SMALL = Sheet("scripts", ("pixels",), "pixels", {"n_clusters": 12, "n_partitions": 2, "n_way": 5, "image_size": 7})
TERMS = Terms("glyphs", None, 2, 3)
with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture(autouse=True)
def small_sheet(monkeypatch):
    monkeypatch.setitem(SHEETS, "glyphs", SMALL)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def pieces(*names, seeds=(0,)):
    return [(entry, seed) for seed in seeds for name in names for entry in entries_of("glyphs", [name])]


def begun(agenda):
    """Return the names of all that can be done now, one after the other."""
    names = []
    while (work := agenda.begin()) is not None:
        names.append(str(work))
    return names


def ended(agenda, name, error=None):
    (work,) = [work for work in agenda.running if str(work) == name]
    return {f"{entry.name}, seed {seed}": why for (entry, seed), why in agenda.end(work, error)}


def test_an_embedding_is_trained_once_before_its_rows_and_baselines_of_one_run_are_scored_in_turn(tmp_path):
    rows = pieces("pixels-knn", "pixels-linear", "pixels-cactus-maml", seeds=(0, 1))
    agenda = Agenda.of(Table(tmp_path, TERMS), rows)
    assert begun(agenda) == ["embedding-pixels, seed 0", "embedding-pixels, seed 1"]
    assert ended(agenda, "embedding-pixels, seed 0") == {}
    assert begun(agenda) == ["pixels-knn, seed 0", "pixels-cactus-maml, seed 0"]
    assert ended(agenda, "pixels-knn, seed 0") == {"pixels-knn, seed 0": None}
    assert begun(agenda) == ["pixels-linear, seed 0"]
    assert [str(work) for work in agenda.waiting] == [f"pixels-{name}, seed 1" for name in ("knn", "linear", "cactus-maml")]


def test_rows_whose_embedding_failed_have_failed_and_no_others(tmp_path):
    rows = pieces("pixels-knn", "pixels-linear", seeds=(0, 1))
    agenda, why = Agenda.of(Table(tmp_path, TERMS), rows), DivergedError("the loss is NaN")
    begun(agenda)
    assert ended(agenda, "embedding-pixels, seed 0", why) == {"pixels-knn, seed 0": why, "pixels-linear, seed 0": why}
    ended(agenda, "embedding-pixels, seed 1")
    assert begun(agenda) == ["pixels-knn, seed 1"]
    assert ended(agenda, "pixels-knn, seed 1", why) == {"pixels-knn, seed 1": why}
    assert begun(agenda) == ["pixels-linear, seed 1"]


def test_too_many_workers_for_the_threads_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(on_ray.importlib.util, "find_spec", lambda name: object())
    n = on_ray.processors_here()
    for threads, told in ((None, f"{n + 1} workers with OMP_NUM_THREADS=1 are"), (2, f"{n + 1} workers with --threads 2 are")):
        with (
            pytest.raises(InputError, match=f"{told} too many for {n} processors; give"),
            side_by_side(tmp_path / "table", n_workers=n + 1, n_threads=threads),
        ):
            pass
    assert not (tmp_path / "table").exists()


def a_worker() -> int | None:
    """Return a process that makes a row for the cluster whose token this process holds."""
    token = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::do" in (folder / "cmdline").read_bytes() and token in (folder / "environ").read_bytes():
                return int(folder.name)
        except OSError:
            continue
    return None


class Noted:
    def __init__(self):
        self.said = []

    def stage(self, name):
        self.said.append(name)

    def update(self, done, text=""):
        assert 0 <= done <= 1

    note = stage


@with_ray
@pytest.mark.timeout(600)
def test_a_table_by_two_workers_one_killed_then_stopped_and_gone_on_with_has_the_scores_of_one_process(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    names = ("pixels-knn", "pixels-linear", "pixels-cactus-protonets")
    entries = [entry for entry, _ in pieces(*names)]
    broken = replace(entries[0], name="broken", recipe="no-such-recipe", embedding=None, method=None)
    alone = Table(tmp_path / "alone", TERMS)
    make_rows(alone, entries, 1, lambda failed: None)

    folder, killed, counts, noted = tmp_path / "beside", [], [], Noted()
    reader = Table(folder, TERMS)

    def kill_one_then_stop():
        training = (folder / "runs" / "embedding-pixels-seed0" / "cache").is_dir()
        if not killed and training and (worker := a_worker()) is not None:
            killed.append(worker)
            os.kill(worker, signal.SIGKILL)
        return bool(counts) and counts[-1] > 0  # when one row is scored, another of the same run waits for its turn

    table = replace(reader, stop=kill_one_then_stop, reporter=noted)
    with side_by_side(folder, n_workers=2) as makes:
        with pytest.raises(InterruptedRunError, match=r"stopped after \d of 4 rows"):
            make_rows(table, [broken, *entries], 1, lambda failed: counts.append(len(reader.scored())), makes)
        assert killed and killed[0] is not None
        failed = make_rows(reader, [broken, *entries], 1, lambda failed: counts.append(len(reader.scored())), makes)
    assert list(failed) == ["broken, seed 0"] and "no-such-recipe" in failed["broken, seed 0"]
    assert counts[-1] == 3
    for here, there in zip(reader.scored(), alone.scored(), strict=True):
        assert here.row == there.row and here.report.rows == there.report.rows
        assert (here.purity, here.nmi, here.n_partitions, here.threads) == (there.purity, there.nmi, there.n_partitions, there.threads)
    assert any(line.startswith("embedding-pixels, seed 0: ") for line in noted.said)
    assert beside.Work(entries[0], 0).writes == ("embedding-pixels", 0)
