"""A run that was stopped or killed, anywhere, ends with the weights of a run that was not."""

import csv
import json
import multiprocessing
import signal

import pytest

from umeta.artifacts.artifact import sha256

STEPS = 6
AT_STEP = """
import os, signal
import umeta.artifacts.run as r
r.CHECKPOINT_EVERY_S, r.METRICS_EVERY_S = {every_s}, 0
real = r.StageObserver.on_step
def on_step(self, position, metrics):
    real(self, position, metrics)
    if (self._stage, position.step) == ({stage!r}, {step}):
        os.kill(os.getpid(), {number})
r.StageObserver.on_step = on_step
"""
IN_A_SAVE = """
import os, signal
import umeta.artifacts.run as r, umeta.artifacts.artifact as a
r.CHECKPOINT_EVERY_S = 0
real = a.write_json
def write_json(path, content):
    if path.parent.name.startswith("{stage}-{step:09d}.tmp"):
        os.kill(os.getpid(), {number})
    real(path, content)
a.write_json = write_json
"""


def weights(run):
    return sha256(run / "procedure" / "tensors.safetensors")


IN_A_CHILD = """
import os, sys
log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.dup2(log, 1); os.dup2(log, 2)
import faiss, torch
torch.set_num_threads(1); faiss.omp_set_num_threads(1)
{before}
from umeta.cli.main import main
sys.exit(main({arguments!r}))
"""


@pytest.fixture(scope="module")
def nursery():
    """Processes that start with the library imported: a server that has run none of it is forked."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["umeta.cli.work", "torch._dynamo", "faiss"])
    return context


@pytest.fixture
def stopped(nursery, tmp_path):
    """Call `learn --resume` in a process of its own that sends itself a signal; returns its exit code and all it said."""

    def call(learn, before, **where):
        log = tmp_path / "log"
        arguments = [*map(str, learn), "--resume"]
        code = IN_A_CHILD.format(log=str(log), before=before.format(**where), arguments=arguments)
        process = nursery.Process(target=exec, args=(code, {}))
        process.start()
        process.join(120)
        return process.exitcode, log.read_text()

    return call


def test_rounds_that_were_killed_and_stopped_end_with_the_same_weights(umeta, stopped, source, tmp_path):
    learn = ("learn", source, "--steps", STEPS, "--out")
    assert umeta(*learn, tmp_path / "whole").code == 0
    broken = (*learn, tmp_path / "broken")
    code, _ = stopped(broken, AT_STEP, stage="meta_train", step=4, number=signal.SIGKILL, every_s=0)
    assert code == -signal.SIGKILL
    code, err = stopped(broken, AT_STEP, stage="round_2", step=2, number=signal.SIGTERM, every_s=20)
    assert code == 130
    assert "meta_train: goes on at step 3" in err
    answer = umeta(*broken, "--resume")
    assert answer.code == 0, answer.err
    assert "round_2: goes on at step 2" in answer.err
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")


@pytest.mark.parametrize(("recipe", "last_stage"), [("protoclr", "meta_train"), ("psco", "meta_train"), ("in-context", "head")])
def test_every_learner_on_instances_ends_with_the_same_weights(umeta, stopped, source, tmp_path, recipe, last_stage):
    learn = ("learn", source, "--recipe", recipe, "--image-size", 14, "--steps", 4, "--out")
    assert umeta(*learn, tmp_path / "whole").code == 0
    broken = (*learn, tmp_path / "broken")
    code, _ = stopped(broken, AT_STEP, stage="meta_train", step=3, number=signal.SIGKILL, every_s=0)
    assert code == -signal.SIGKILL
    code, err = stopped(broken, AT_STEP, stage=last_stage, step=3, number=signal.SIGTERM, every_s=20)
    assert code == 130
    assert "meta_train: goes on at step 2" in err
    answer = umeta(*broken, "--resume")
    assert answer.code == 0, answer.err
    assert f"{last_stage}: goes on at step 3" in answer.err
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")


@pytest.mark.parametrize("recipe", ["cactus-protonets", "cactus-maml"])
def test_killed_and_stopped_runs_end_with_the_same_weights(umeta, stopped, source, tmp_path, recipe):
    learn = ("learn", source, "--recipe", recipe, "--partitions", 2, "--steps", STEPS, "--out")
    assert umeta(*learn, tmp_path / "whole").code == 0

    broken = (*learn, tmp_path / "broken")
    code, _ = stopped(broken, AT_STEP, stage="embedding", step=4, number=signal.SIGKILL, every_s=0)
    assert code == -signal.SIGKILL
    assert not (tmp_path / "broken" / "embedding").exists()
    code, err = stopped(broken, AT_STEP, stage="meta_train", step=2, number=signal.SIGTERM, every_s=20)
    assert "embedding: goes on at step 3" in err
    assert code == 130
    assert "stopped at step 2" in err.splitlines()[-1] and "--resume" in err.splitlines()[-1]
    code, err = stopped(broken, IN_A_SAVE, stage="meta_train", step=5, number=signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert "meta_train: goes on at step 2" in err
    assert [path.name for path in (tmp_path / "broken").glob("checkpoint/*.tmp-*")] != []
    assert not (tmp_path / "broken" / "procedure").exists()
    answer = umeta(*broken, "--resume")
    assert answer.code == 0, answer.err
    assert "meta_train: goes on at step 4" in answer.err

    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("whole", "broken")]
    assert manifests[0]["steps"] == manifests[1]["steps"] == {"embedding": STEPS, "meta_train": STEPS}
    assert not list((tmp_path / "broken").rglob("*.tmp-*"))
    rows = list(csv.DictReader((tmp_path / "broken" / "metrics.csv").open()))
    steps = [(row["stage"], int(row["step"]), row["name"]) for row in rows]
    assert len(set(steps)) == len(steps), "no step is told twice"
    assert {("embedding", STEPS, "loss"), ("meta_train", STEPS, "loss")} <= set(steps)


def test_ctrl_c_saves_and_says_how_to_go_on(umeta, make, source, run, tmp_path):
    learn = ("learn", source, *make.QUICK, "--steps", 4, "--out", tmp_path / "run")
    before = AT_STEP.format(stage="meta_train", step=1, number=signal.SIGINT, every_s=20)
    process = make.process(*learn, before=before)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    assert "go on with the same command and --resume" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert [path.name for path in (tmp_path / "run" / "checkpoint").iterdir()] == ["meta_train-000000001"]
    assert umeta("evaluate", tmp_path / "run", "--on", "glyphs").error.endswith("(the run has not finished; go on with --resume)")
    assert umeta(*learn, "--resume").code == 0
    assert weights(tmp_path / "run") == weights(run)


@pytest.mark.parametrize("stage", ["images", "partitions"])
def test_a_stop_is_heard_in_stages_without_steps(umeta, make, source, run, tmp_path, monkeypatch, stage):
    from umeta.recipes.stages import Learning

    real = Learning.counted

    def counted(self, done, n, what):
        if what == stage:
            signal.raise_signal(signal.SIGTERM)
        real(self, done, n, what)

    learn = ("learn", source, *make.QUICK, "--steps", 4, "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Learning, "counted", counted)
        answer = umeta(*learn)
    assert answer.code == 130
    assert stage in answer.error and "--resume" in answer.error
    assert umeta(*learn, "--resume").code == 0
    assert weights(tmp_path / "run") == weights(run)


def test_signal_handlers_are_given_back(umeta, make, source, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert umeta("learn", source, *make.QUICK, "--steps", 0, "--out", tmp_path).code == 2
    assert umeta("learn", source, *make.QUICK, "--steps", 1, "--out", tmp_path / "run").code == 0
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_damaged_checkpoint_is_passed_over(umeta, make, source, run, tmp_path, monkeypatch):
    import umeta.artifacts.run as artifacts

    monkeypatch.setattr(artifacts, "CHECKPOINT_EVERY_S", 0)
    learn = ("learn", source, *make.QUICK, "--steps", 4, "--out", tmp_path / "run")
    real = artifacts.StageObserver.wants_stop
    monkeypatch.setattr(artifacts.StageObserver, "wants_stop", lambda self: self._last_step == 3)
    monkeypatch.setattr(artifacts.StageObserver, "wants_checkpoint", lambda self, p: setattr(self, "_last_step", p.step) or True)
    monkeypatch.setattr(artifacts.StageObserver, "_last_step", 0, raising=False)
    assert umeta(*learn).code == 130
    monkeypatch.setattr(artifacts.StageObserver, "wants_stop", real)
    newest = sorted((tmp_path / "run" / "checkpoint").iterdir())[-1] / "tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    answer = umeta(*learn, "--resume")
    assert answer.code == 0
    assert "goes on at step" in answer.err
    assert weights(tmp_path / "run") == weights(run)
