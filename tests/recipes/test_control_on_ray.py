"""Episodes by two workers of a Ray of their own, one of them killed while it runs some; and what is refused before Ray starts."""

import importlib.util
import os
import signal
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from umeta.artifacts.artifact import read_json
from umeta.control.learners.inner import InnerLoop
from umeta.core.errors import InputError
from umeta.recipes import on_ray
from umeta.recipes.control.learn import ControlRequest, learn_control
from umeta.recipes.control.on_ray import learn_control_on_ray

with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture
def small():
    request = ControlRequest.of("env:Pendulum-v1", "uml-diayn", steps=2)
    few = {"n_skill": 5, "n_skill_episode": 2, "meta_batch_size": 3, "inner": InnerLoop(n_steps=1, n_episode=2)}
    return replace(request, recipe=replace(request.recipe, settings={"n_skills": 5}, **few))


class KillsOne(threading.Thread):
    """Waits for a worker of our cluster to run episodes, once the run has begun to practice, and kills it."""

    def __init__(self, run):
        super().__init__(daemon=True)
        self.run_folder, self.killed = run, None

    def run(self):
        while self.killed is None:
            time.sleep(0.005)
            if not (self.run_folder / "skills").is_dir():
                continue
            token = f"RAY_AUTH_TOKEN={os.environ.get('RAY_AUTH_TOKEN', '-')}".encode()
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    busy = b"ray::Collector.collect" in (folder / "cmdline").read_bytes()
                    if busy and token in (folder / "environ").read_bytes():
                        os.kill(int(folder.name), signal.SIGKILL)
                        self.killed = int(folder.name)
                        return
                except OSError:
                    continue


@with_ray
@pytest.mark.timeout(600)
def test_a_run_whose_worker_is_killed_ends_with_the_hashes_of_one_process(tmp_path, small, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    killer = KillsOne(tmp_path / "shared")
    killer.start()
    ours = learn_control_on_ray(small, tmp_path / "shared", n_workers=2)
    assert killer.killed is not None
    alone = learn_control(small, tmp_path / "alone")
    assert ours["sha256"] == alone["sha256"] and set(ours["sha256"]) == {"procedure", "skills"}
    assert ours["skills"] == alone["skills"]
    assert read_json(tmp_path / "shared" / "manifest.json") == ours


def test_what_cannot_be_started_is_refused_in_one_line(tmp_path, small, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    n = on_ray.processors_here()
    monkeypatch.setattr(on_ray.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(InputError, match=f"8 workers with OMP_NUM_THREADS=2 are too many for {n} processors; "):
        learn_control_on_ray(small, tmp_path / "run", n_workers=8)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match=r"no Ray cluster answers at '127.0.0.1:\d+'; give HOST:PORT"):
            learn_control_on_ray(small, tmp_path / "run", address=f"127.0.0.1:{nobody.getsockname()[1]}")
    memory = ControlRequest.of("env:Grid-v0", "rl2-diayn", steps=1)
    with pytest.raises(InputError, match=r"rl2-diayn learns by a memory .* leave out --engine ray, or give a recipe with MAML"):
        learn_control_on_ray(memory, tmp_path / "run")
    monkeypatch.setattr(on_ray.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--engine ray needs Ray; install it by: pip install 'umeta\[ray\]'"):
        learn_control_on_ray(small, tmp_path / "run")
    assert not (tmp_path / "run").exists()
