"""A run that is learned once per session, a client of its API, and a server of it in a process of its own."""

import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from umeta.benchmarks.glyphs import render_glyphs
from umeta.cli.main import main
from umeta.control.learners.inner import InnerLoop
from umeta.recipes.control.learn import ControlRequest, learn_control
from umeta.web.lesson import Teacher
from umeta.web.server import api, make_app

QUICK = ("--recipe", "cactus-protonets", "--embedding", "pixels", "--partitions", "2", "--image-size", "28", "--steps", "8")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that clustered 240 glyphs; do not change it."""
    folder = tmp_path_factory.mktemp("web-run")
    np.savez(folder / "glyphs.npz", images=render_glyphs().images[::14, ::2][:40].reshape(-1, 28, 28))
    assert main(["learn", str(folder / "glyphs.npz"), "--out", str(folder / "proto"), *QUICK]) == 0
    return folder / "proto"


@pytest.fixture(scope="session")
def control_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in the arena, hardly trained; do not change it."""
    request = ControlRequest.of("env:PointNav-v0", "uml-diayn", steps=2)
    inner = InnerLoop(n_episode=2, n_steps=2)
    few = replace(
        request.recipe, settings={"n_skills": 3}, n_skill=3, n_skill_episode=2, meta_batch_size=2, inner=inner, n_adapt_episodes=2
    )
    out = tmp_path_factory.mktemp("web-control-run") / "point"
    learn_control(replace(request, recipe=few), out)
    return out


@pytest.fixture(scope="session")
def teacher(run: Path) -> Teacher:
    return Teacher.of(run)


@pytest.fixture(scope="session")
def client(run: Path) -> TestClient:
    """A client of the guarded application."""
    return TestClient(make_app(run), base_url="http://127.0.0.1:8000")


@pytest.fixture(scope="session")
def bare(teacher: Teacher) -> TestClient:
    """A client of the application without its guard."""
    return TestClient(api(teacher), base_url="http://127.0.0.1:8000")


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def glyph(number: int, face: int = 0) -> bytes:
    return png(render_glyphs().images[number, face])


@contextmanager
def serving(run: Path, port: int) -> Iterator[str]:
    """Serve a run in a process of its own; yields the address once it answers."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", "umeta", "serve", str(run), "--port", str(port)], env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            assert process.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The helpers above, for test files: pytest imports them apart from this one."""
    return SimpleNamespace(png=png, glyph=glyph, serving=serving, free_port=free_port)


@pytest.fixture
def session(client: TestClient) -> Callable[..., object]:
    """Ask within a fresh session: `session("POST", "/predict", images=[...])`."""
    path = f"/api/sessions/{client.post('/api/sessions').json()['id']}"

    def ask(method: str, place: str = "", *, images: object = None, names: object = None, json: object = None) -> object:
        files = None if images is None else [("images", (f"{index}.png", one)) for index, one in enumerate(images)]
        return client.request(method, path + place, files=files, data=None if names is None else {"names": names}, json=json)

    return ask
