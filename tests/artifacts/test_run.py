"""Who may write to a run folder, what is kept in it, and where a stopped run goes on."""

import csv
import subprocess
import sys

import pytest
import torch
from torch import nn

from umeta.artifacts.artifact import WEIGHTS, read_json
from umeta.artifacts.run import RunFolder, StageObserver
from umeta.core.errors import InputError
from umeta.core.loop import Pace, Position
from umeta.core.progress import Quiet
from umeta.core.state import ModuleState

CONFIG = {"source": "photos", "recipe": {"name": "cactus", "n_way": 20}, "seed": 0}


def start(path, config=CONFIG, *, resume=False, overwrite=False, usual=None):
    return RunFolder.start(path, dict(config), resume=resume, overwrite=overwrite, usual=usual)


def make_state(value=0.0):
    net = nn.Linear(1, 1)
    with torch.no_grad():
        net.weight.fill_(value)
        net.bias.fill_(0.0)
    return ModuleState({"net": net}, {})


def names_in(folder):
    return sorted(str(entry.relative_to(folder)) for entry in folder.rglob("*"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs/one"


def test_a_new_folder_holds_its_config_and_a_lock(path):
    start(path)
    assert read_json(path / "config.json") == CONFIG
    assert names_in(path) == [".lock", "config.json"]


def test_an_existing_run_is_refused_resumed_or_overwritten_as_asked(path):
    start(path).release()
    (path / "procedure").mkdir()
    (path / "procedure/x").write_text("old")
    with pytest.raises(InputError, match=r"exists; go on with --resume, start anew with --overwrite"):
        start(path)
    start(path, resume=True).release()
    assert (path / "procedure/x").exists()
    start(path, CONFIG | {"source": "other"}, overwrite=True).release()
    assert not (path / "procedure").exists()
    assert read_json(path / "config.json")["source"] == "other"
    with pytest.raises(InputError, match="not both"):
        start(path, resume=True, overwrite=True)


def test_a_run_is_replaced_only_once_the_new_one_has_something_of_its_own(path):
    start(path).release()
    (path / "procedure").mkdir()
    (path / "procedure/x").write_text("old")
    (path / "progress.json").write_text('{"elapsed_s": 1234.5}')
    before = names_in(path)
    for seed in (1, 2):
        with pytest.raises(InputError, match="no images"), start(path, CONFIG | {"seed": seed}, overwrite=True).held():
            assert not (path / "procedure").exists()
            raise InputError("no images")
        assert names_in(path) == before and (path / "procedure/x").read_text() == "old"
        assert read_json(path / "config.json") == CONFIG and read_json(path / "progress.json") == {"elapsed_s": 1234.5}
    start(path, CONFIG | {"seed": 3}, overwrite=True).release()
    run = start(path, CONFIG | {"seed": 1}, overwrite=True)
    run.release()
    assert (path / ".replaced/procedure/x").is_file(), "nothing is lost while there is nothing new"
    run = start(path, CONFIG | {"seed": 1}, resume=True)
    run.save_checkpoint("meta_train", Position(1, 1.0, 0.5), make_state())
    assert not (path / ".replaced").exists() and (path / "checkpoint").is_dir()
    run.release()


def test_other_settings_are_not_resumed_and_every_change_is_told(path):
    start(path).release()
    with pytest.raises(InputError, match=r"other settings \(new was None, now 1, n_way was 20, now 5, seed was 0, now 7\)"):
        start(path, CONFIG | {"seed": 7, "new": 1, "recipe": {"name": "cactus", "n_way": 5}}, resume=True)
    assert read_json(path / "config.json") == CONFIG


def test_a_run_of_an_earlier_version_goes_on_where_what_it_lacks_is_as_it_was(path):
    start(path).release()
    start(path, CONFIG | {"recipe": {**CONFIG["recipe"], "begin": "random"}}, resume=True, usual={"begin": "random"}).release()
    with pytest.raises(InputError, match=r"other settings \(begin was 'random', now 'embedding'\)"):
        start(path, CONFIG | {"recipe": {**CONFIG["recipe"], "begin": "embedding"}}, resume=True, usual={"begin": "random"})


def test_of_another_recipe_only_the_name_is_told(path):
    was = CONFIG | {"recipe": {"name": "umtra", "n_way": 20}}
    start(path, was).release()
    with pytest.raises(InputError, match=r"other settings \(recipe was umtra, now aal-protonets, seed was 0, now 7\)"):
        start(path, CONFIG | {"seed": 7, "recipe": {"name": "aal-protonets", "n_way": 5}}, resume=True)


def test_a_run_does_not_begin_inside_another(path):
    start(path).release()
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match=f"lies inside the run {path}; choose another"):
            start(path / "deep" / "sub", **options)
    assert not (path / "deep").exists()


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_foreign_folder_or_file_is_never_touched(tmp_path, options):
    foreign, file = tmp_path / "photos", tmp_path / "file"
    foreign.mkdir()
    (foreign / "cat.jpg").write_text("cat")
    (foreign / "cat.jpg.tmp-1").write_text("also a cat")
    (foreign / "config.json").write_text('{"model": "of another program"}')
    file.write_text("text")
    for path in (foreign, file):
        with pytest.raises(InputError, match=r"choose another --out"):
            start(path, **options)
    assert names_in(foreign) == ["cat.jpg", "cat.jpg.tmp-1", "config.json"]
    assert file.read_text() == "text"


def test_overwrite_removes_a_link_and_not_what_it_points_to(path, tmp_path):
    start(path).release()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/cat.jpg").write_text("cat")
    (path / "data").symlink_to(tmp_path / "data")
    start(path, overwrite=True).release()
    assert (tmp_path / "data/cat.jpg").exists()
    assert not (path / "data").exists()


LOCKING = """
import sys
from pathlib import Path
from umeta.artifacts.artifact import read_json
from umeta.artifacts.run import RunFolder
path = Path(sys.argv[1])
run = RunFolder.start(path, read_json(path / "config.json"), resume=True, overwrite=False)
print("locked", flush=True)
input()
"""


def test_a_process_at_work_keeps_others_out_and_a_killed_one_does_not(path):
    start(path).release()
    with subprocess.Popen([sys.executable, "-c", LOCKING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        for options in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match="at work in"):
                start(path, **options)
        assert (path / "config.json").exists()
        other.kill()
        other.wait()
    start(path, resume=True).release()
    start(path, resume=True).release()


def test_leftovers_of_a_killed_write_are_swept(path):
    start(path).release()
    for name in ("checkpoint/meta-000000001.tmp-99", "procedure.tmp-99", "procedure.old-98"):
        (path / name).mkdir(parents=True)
    (path / "config.json.tmp-99").write_text("{")
    start(path, resume=True).release()
    assert not [name for name in names_in(path) if ".tmp-" in name or ".old-" in name]
    assert {"checkpoint", "config.json"} <= set(names_in(path))


def test_the_newest_whole_checkpoint_is_loaded_and_two_are_kept(path):
    run = start(path)
    state = make_state()
    assert run.load_checkpoint("meta", state) is None
    for step in (5, 10, 1500):
        run.save_checkpoint("meta", Position(step, step / 10, step / 2000), make_state(step))
    run.save_checkpoint("acai", Position(9, 1.0, 0.5), make_state(-1))
    kept = sorted(entry.name for entry in (path / "checkpoint").iterdir())
    assert kept == ["acai-000000009", "meta-000000010", "meta-000001500"]
    assert run.load_checkpoint("meta", state) == Position(1500, 150.0, 0.75)
    assert state.modules["net"].weight.item() == 1500
    weights = path / "checkpoint/meta-000001500" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    assert run.load_checkpoint("meta", state) == Position(10, 1.0, 0.005)
    assert state.modules["net"].weight.item() == 10
    (path / "checkpoint/meta-000000010" / WEIGHTS).unlink()
    assert run.load_checkpoint("meta", state) is None


def test_time_spent_and_decisions_outlive_a_stop(path):
    run = start(path)
    assert run.remember("share", lambda: 0.25) == 0.25
    run._began -= 100
    run.note_elapsed()
    run.release()
    again = start(path, resume=True)
    assert 100 <= again.elapsed_s < 110
    assert again.remember("share", lambda: 0.75) == 0.25


def test_the_manifest_hashes_the_files_it_names(path):
    run = start(path)
    (path / "x").write_bytes(b"abc")
    run.finish({"protocol": "p"}, {"x": path / "x"})
    manifest = read_json(path / "manifest.json")
    assert manifest["protocol"] == "p"
    assert manifest["sha256"] == {"x": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
    assert manifest["versions"]["torch"] == torch.__version__
    run.release()
    start(path, resume=True).release()


def observe(run, *, start_step=0, stop=lambda: False, probe=None):
    return StageObserver(run, "meta", Pace(4), Quiet(), stop, "loss", start_step, probe)


def rows(path):
    with (path / "metrics.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_metrics_are_averaged_written_and_cut_back_on_a_resume(path):
    run = start(path)
    observer = observe(run)
    observer.on_step(Position(1, 0.5, 0.25), {"loss": 2.0})
    observer.on_step(Position(2, 0.6, 0.5), {"loss": 2.0})  # too soon to be written
    observer.on_step(Position(4, 1.0, 1.0), {"loss": 1.0})
    observer.close()
    assert rows(path) == [
        ["stage", "step", "elapsed_s", "name", "value"],
        ["meta", "1", "0.5", "loss", "2"],
        ["meta", "4", "1.0", "loss", "1.95"],
    ]
    observe(run, start_step=2).close()
    assert rows(path)[1:] == [["meta", "1", "0.5", "loss", "2"]]


def test_an_observer_saves_at_the_end_and_stops_when_asked(path):
    run = start(path)
    observer = observe(run, stop=lambda: True)
    assert observer.wants_stop()
    assert not observer.wants_checkpoint(Position(1, 0.1, 0.25))
    assert observer.wants_checkpoint(Position(4, 0.4, 1.0))
    observer._last_checkpoint -= 21
    assert observer.wants_checkpoint(Position(1, 0.1, 0.25))
    observer.save(Position(1, 0.1, 0.25), make_state(3))
    assert not observer.wants_checkpoint(Position(1, 0.1, 0.25))
    observer.close()
    state = make_state()
    assert run.load_checkpoint("meta", state) == Position(1, 0.1, 0.25)
    assert state.modules["net"].weight.item() == 3


def test_a_probe_measures_what_is_saved_once_a_minute_and_at_the_end(path):
    run = start(path)
    observer = observe(run, probe=lambda state: {"weight": state.modules["net"].weight.item()})
    observer.save(Position(1, 0.1, 0.25), make_state(3))  # too soon
    observer._last_probe -= 61
    observer.save(Position(2, 0.2, 0.5), make_state(4))
    observer.save(Position(3, 0.3, 0.75), make_state(5))  # too soon again
    observer.save(Position(4, 0.4, 1.0), make_state(6))
    observer.close()
    assert rows(path)[1:] == [["meta", "2", "0.2", "weight", "4"], ["meta", "4", "0.4", "weight", "6"]]
