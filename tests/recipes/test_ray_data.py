"""Actors of Ray Data read, embed and cluster as one process does, also where one of them is killed; failures come out as they are."""

import importlib.util
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from umeta.core.errors import InputError
from umeta.core.hands import cut
from umeta.core.rng import Rng
from umeta.images.cache import build_cache
from umeta.images.embed.encoder import embed_all, quick
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.source import FolderSource
from umeta.recipes.on_ray import connected
from umeta.recipes.ray_data import DataWorkers

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
N_IMAGES = 2200


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    generator = Rng.from_seed(0).numpy()
    for index in range(N_IMAGES):
        pixels = generator.integers(256, size=(9, 10 + index % 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{index:04}.bmp")
    (tmp_path / "images/0007.bmp").write_bytes(b"BM no")
    (tmp_path / "images/2001.bmp").write_bytes((tmp_path / "images/1000.bmp").read_bytes())
    return FolderSource(tmp_path / "images")


def data_workers() -> list[int]:
    """Return the actors of Ray Data in the cluster whose token this process holds."""
    token, found = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::MapWorker" in (process / "cmdline").read_bytes() and token in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_what_ray_data_does_has_the_bits_of_one_process_though_a_worker_is_killed(tmp_path, folder, monkeypatch, capfd):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    killed, seen = [], []
    alone = build_cache(folder, tmp_path / "alone")
    encoder = quick(Conv4(Conv4Config(3, 8, 4), Rng.from_seed(0).torch()).eval())
    matrix = embed_all(encoder, alone.images)
    partitioner = KMeansPartitioner(8, 4)
    labels = partitioner.fit(matrix, Rng.from_seed(1), min_size=2)

    def kill_one(done, n):
        seen.append(done)
        if not killed:
            killed.append(data_workers()[0])
            os.kill(killed[0], signal.SIGKILL)

    def fail(part):
        raise InputError(f"no {part[0]}")

    with connected(None, tmp_path / "ray"):
        by = DataWorkers(2)
        shared = build_cache(folder, tmp_path / "shared", by=by, on_progress=kill_one)
        same = embed_all(encoder, shared.images, by=by)
        again = partitioner.fit(matrix, Rng.from_seed(1), min_size=2, by=by)
        with pytest.raises(InputError, match="no 0"):
            list(by(fail, cut(4, 1)))
    assert killed
    assert seen == sorted(seen)
    assert seen[-1] == N_IMAGES
    assert len(shared.images) == N_IMAGES - 2
    for name in ("images.npy", "hashes.npy", "names.json", "skipped.csv", "cache.json"):
        assert (tmp_path / "shared" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert torch.equal(same, matrix)
    np.testing.assert_array_equal(again, labels)
    assert capfd.readouterr().out == ""
