"""Small sources, runs that are learned once per session, and the command line called in this process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from PIL import Image

from umeta.cli.main import main

N_DRAWINGS = 240
QUICK = ("--recipe", "cactus-protonets", "--embedding", "pixels", "--partitions", "2", "--image-size", "14")


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that an error is."""
        lines = [line for line in self.err.splitlines() if line.startswith("umeta: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("umeta: ")


Umeta = Callable[..., Answer]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Weights are compared bit for bit between processes, so all have one thread."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)


@pytest.fixture
def umeta(capsys: pytest.CaptureFixture[str]) -> Umeta:
    """Call the command line in this process."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return call


def umeta_process(*arguments: object, before: str = "", **options: Any) -> "subprocess.Popen[str]":
    """Start the command line in a process of its own, after Python statements that prepare it."""
    code = f"import sys\n{before}\nfrom umeta.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | options.pop("env", {})
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options)


def drawings(n: int, seed: int = 0, side: int = 28) -> np.ndarray:
    """Return gray images of one blob each, at one of 12 places, with noise; all different."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    place = rng.integers(0, 12, n)
    dx, dy = x - (0.2 + 0.2 * (place % 4))[:, None, None], y - (0.2 + 0.3 * (place // 4))[:, None, None]
    blobs = 200 * np.exp(-(dx**2 + dy**2) / 0.02)
    return (blobs + rng.integers(0, 40, (n, side, side))).astype(np.uint8)


def colored(n: int, seed: int = 0) -> list[Image.Image]:
    """Return n color pictures of mixed sizes."""
    rng = np.random.default_rng(seed)
    stacked = [np.stack([one, np.roll(one, 3), 255 - one], -1) for one in drawings(n, seed)]
    return [Image.fromarray(one).resize(tuple(map(int, rng.integers(30, 70, 2)))) for one in stacked]


def write_colored(folder: Path, n: int, seed: int = 0) -> list[Path]:
    """Write color pictures as JPEG and PNG into subfolders; returns their paths."""
    paths = []
    for index, image in enumerate(colored(n, seed)):
        path = folder / f"sub {index % 3}" / f"{index:04d}.{'jpg' if index % 2 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        paths.append(path)
    return paths


def save_npz(path: Path, images: np.ndarray) -> Path:
    np.savez(path, images=images)
    return path


def quietly(*arguments: object) -> None:
    """Make something that tests stand on."""
    assert main([str(argument) for argument in arguments]) == 0


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz of 240 gray drawings."""
    return save_npz(tmp_path_factory.mktemp("source") / "drawings.npz", drawings(N_DRAWINGS))


@pytest.fixture(scope="session")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of ProtoNets; do not change it."""
    out = tmp_path_factory.mktemp("run") / "proto"
    quietly("learn", source, "--out", out, *QUICK, "--steps", 4)
    return out


@pytest.fixture(scope="session")
def maml_run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of MAML; do not change it."""
    out = tmp_path_factory.mktemp("maml-run") / "maml"
    quietly("learn", source, "--out", out, *QUICK, "--steps", 4, "--recipe", "cactus-maml")
    return out


@pytest.fixture(scope="session")
def glyph_classes() -> dict[str, np.ndarray]:
    """Four classes of 12 gray glyphs."""
    from umeta.benchmarks.glyphs import Glyphs

    labeled = Glyphs().split("scripts", "meta_test")
    return {labeled.class_names[label]: labeled.images[labeled.labels == label][:, 0] for label in range(30)}


def write_support(folder: Path, classes: dict[str, np.ndarray], shots: list[int]) -> Path:
    """Write `shots[i]` images of the i-th class as DIR/<class>/<image>.png."""
    for (name, images), n in zip(classes.items(), shots, strict=False):
        (folder / name).mkdir(parents=True)
        for index in range(n):
            Image.fromarray(images[index]).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture(scope="session")
def classifier(run: Path, glyph_classes: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of three glyphs; do not change it."""
    folder = tmp_path_factory.mktemp("classifier")
    quietly("adapt", run, "--support", write_support(folder / "support", glyph_classes, [2, 2, 2]), "--out", folder / "clf")
    return folder / "clf"


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The helpers above, for test files: pytest imports them apart from this one."""
    return SimpleNamespace(
        QUICK=QUICK,
        colored=colored,
        drawings=drawings,
        npz=save_npz,
        process=umeta_process,
        support=write_support,
        folder=write_colored,
    )
