"""Two workers of a Ray of their own, one of them killed; and what is refused before Ray starts."""

import importlib.util
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from umeta.artifacts.artifact import read_json
from umeta.core.errors import InputError
from umeta.core.parallel import Team
from umeta.core.rng import Rng
from umeta.recipes import on_ray
from umeta.recipes.learn import learn
from umeta.recipes.named import get_recipe
from umeta.recipes.on_ray import checked, learn_on_ray
from umeta.recipes.request import resolve

SIDE, N_KINDS, N_EACH = 12, 16, 12
# Not imported here: Ray reads the settings that it finds in the environment when it is imported.
with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


class Notes:
    """A reporter that keeps what it is told."""

    def __init__(self):
        self.said = []

    def stage(self, name):
        self.said.append(name)

    def update(self, done, text=""):
        self.said.append(text)

    note = stage


@pytest.fixture
def request_of_few(tmp_path):
    generator = Rng.from_seed(0).numpy()
    kinds = generator.integers(200, size=(N_KINDS, SIDE, SIDE)).repeat(N_EACH, 0)
    np.savez(tmp_path / "images.npz", images=(kinds + generator.integers(40, size=kinds.shape)).astype(np.uint8))
    return resolve(str(tmp_path / "images.npz"), replace(get_recipe("default"), width=4, n_rounds=2), steps=3)


def our_workers() -> list[int]:
    """Return the processes that work for the cluster whose token this process holds."""
    token, found = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::RayTrainWorker" in (folder / "cmdline").read_bytes() and token in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@with_ray
def test_a_run_whose_worker_is_killed_ends_with_the_hashes_of_one_process(tmp_path, request_of_few, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shared, killed, notes = tmp_path / "shared", [], Notes()

    def kill_one():
        if not killed and list((shared / "checkpoint").glob("meta_train-?????????")):
            killed.append(our_workers()[0])
            os.kill(killed[0], signal.SIGKILL)
        return False

    ours = learn_on_ray(request_of_few, shared, n_workers=2, reporter=notes, stop=kill_one)
    assert killed
    assert "a worker was lost; all go on at the newest checkpoint" in notes.said
    assert "RAY_AUTH_TOKEN" not in os.environ
    alone = learn(request_of_few, tmp_path / "alone", team=Team(exact=True))
    assert ours["sha256"] == alone["sha256"]
    assert read_json(shared / "manifest.json") == ours


def test_what_cannot_be_started_is_refused_in_one_line(tmp_path, request_of_few, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    n = on_ray.processors_here()
    monkeypatch.setattr(on_ray.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(InputError, match=f"8 workers with OMP_NUM_THREADS=2 are too many for {n} processors; "):
        learn_on_ray(request_of_few, tmp_path / "run", n_workers=8)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match=r"no Ray cluster answers at '127.0.0.1:\d+'; give HOST:PORT"):
            learn_on_ray(request_of_few, tmp_path / "run", address=f"127.0.0.1:{nobody.getsockname()[1]}")
    with pytest.raises(InputError, match="no Ray cluster answers at 'nowhere'"):
        learn_on_ray(request_of_few, tmp_path / "run", address="nowhere")
    monkeypatch.setattr(on_ray.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--engine ray needs Ray; install it by: pip install 'umeta\[ray\]'"):
        learn_on_ray(request_of_few, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@with_ray
def test_a_wrong_token_is_told_apart_from_other_refusals(monkeypatch):
    import ray

    def refuse(*_, **__):
        try:
            raise RuntimeError("Failed to reach GCS") from cause
        except RuntimeError as error:
            raise ConnectionError("Failed to connect") from error

    monkeypatch.setattr(ray, "init", refuse)
    cause = ray.exceptions.AuthenticationError("InvalidAuthToken")
    with pytest.raises(InputError, match="the Ray cluster at head:6379 refuses the token; give its own in RAY_AUTH_TOKEN"):
        on_ray._join("head:6379", {})
    cause = OSError("gone")
    with pytest.raises(InputError, match="the Ray cluster at head:6379 cannot be joined: Failed to connect"):
        on_ray._join("head:6379", {})


def test_as_many_workers_start_as_processors_and_tasks_allow(request_of_few):
    assert [checked(request_of_few, None, 1, n) for n in (1, 2, 3, 7, 16)] == [1, 2, 2, 4, 8]
    assert checked(request_of_few, None, 4, 8) == 2
    of_maml = replace(request_of_few, recipe=get_recipe("umtra"))
    assert checked(of_maml, None, 1, 16) == 4
    with pytest.raises(InputError, match="4 tasks of a step cannot be shared evenly by 3 processes; start 1, 2, 4 of them"):
        checked(of_maml, 3, 1, 16)
