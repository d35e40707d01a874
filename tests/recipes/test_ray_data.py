"""Actors of Ray Data read, embed and cluster as one process does, also where one of them is killed; failures come out as they are."""

import importlib.util
import os
import signal
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from umeta.benchmarks.photos import file_loader
from umeta.core.errors import InputError
from umeta.core.hands import cut
from umeta.core.rng import Rng
from umeta.images.cache import build_cache
from umeta.images.embed import encoder
from umeta.images.embed.encoder import embed_all, quick
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.source import FolderSource, open_source
from umeta.recipes.mailbox import Mailbox
from umeta.recipes.on_ray import OWN_SETTINGS, SETTINGS, connected
from umeta.recipes.ray_data import DataWorkers, _Worker

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
N_SMALL = 1100


@pytest.fixture
def folder(tmp_path):
    """Small images, one of them bad, then as many links to a larger one, which take longer to read."""
    (tmp_path / "images").mkdir()
    generator = Rng.from_seed(0).numpy()
    for index in range(N_SMALL):
        pixels = generator.integers(256, size=(9, 10 + index % 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{index:04}.bmp")
    (tmp_path / "images/0007.bmp").write_bytes(b"BM no")
    Image.fromarray(generator.integers(256, size=(300, 400, 3), dtype=np.uint8)).save(tmp_path / "large.jpg")
    for index in range(N_SMALL, 2 * N_SMALL):
        (tmp_path / f"images/{index:04}.jpg").symlink_to(tmp_path / "large.jpg")
    return FolderSource(tmp_path / "images")


def busy_workers() -> list[int]:
    """Return the actors of Ray Data that are at work now, in the cluster whose token this process holds."""
    token, found = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "cmdline").read_bytes()
            if b"ray::MapWorker" in name and b").submit" in name and token in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


class Rows(list):
    """What Ray Data would hold, all of it done here."""

    def iter_rows(self):
        return iter(self)


@pytest.fixture
def imported_ray(monkeypatch):
    """Ray reads its settings when it is imported, and other tests start one later."""
    for name, value in (SETTINGS | OWN_SETTINGS).items():
        monkeypatch.setenv(name, value)
    import ray

    return ray


@pytest.fixture
def without_actors(monkeypatch, imported_ray):
    def done(self, sent, n_bundles):
        worker = _Worker(sent, self.n_threads)
        return Rows({"results": worker({"item": [number]})["results"][0]} for number in range(n_bundles))

    monkeypatch.setattr(imported_ray, "put", lambda content: content)
    monkeypatch.setattr(imported_ray, "get", lambda content: content)
    monkeypatch.setattr(DataWorkers, "_done", done)


def test_parts_are_handed_out_together_and_come_back_one_by_one(without_actors, monkeypatch):
    handed = []
    inner = _Worker.__call__
    monkeypatch.setattr(_Worker, "__call__", lambda self, batch: handed.append(self.bundles[batch["item"][0]]) or inner(self, batch))
    assert list(DataWorkers(2)(list, cut(9, 2), at_once=1)) == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert [len(bundle) for bundle in handed] == [1, 1, 1, 1, 1]
    handed.clear()
    assert list(DataWorkers(1)(list, cut(9, 2), at_once=3)) == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert [len(bundle) for bundle in handed] == [3, 2]
    handed.clear()
    assert list(DataWorkers(2)(list, cut(9, 2), at_once=3)) == [[0, 1], [2, 3], [4, 5], [6, 7], [8]]
    assert not handed  # too little for two actors


def test_what_a_person_has_to_mend_comes_out_as_it_is_and_in_its_place(without_actors):
    def work(part):
        if part[0] == 2:
            raise InputError("mend it")
        return part[0]

    found = []
    with pytest.raises(InputError, match=r"^mend it$"):
        found.extend(DataWorkers(1)(work, cut(4, 1)))
    assert found == [0, 1]


def test_sources_and_works_can_be_taken_to_another_process(tmp_path, folder, imported_ray):
    cloudpickle = imported_ray.cloudpickle

    def taken(content):
        return cloudpickle.loads(cloudpickle.dumps(content))

    encoded = [(tmp_path / f"images/{index:04}.bmp").read_bytes() for index in range(3)]
    pq.write_table(pa.table({"image": encoded}), tmp_path / "a.parquet")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "images/0001.bmp", "1.bmp")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "images/0001.bmp", "deep/1.bmp")
    for spec in (
        tmp_path / "images",
        tmp_path / "a.parquet",
        tmp_path / "a.tar",
        f"file://{tmp_path}/a.parquet",
        f"file://{tmp_path}/images",
    ):
        source = open_source(spec)
        last = min(len(source), 3) - 1
        np.testing.assert_array_equal(taken(source).read(last), source.read(last))
    assert taken(file_loader(tmp_path / "a.zip", ("1.bmp",)))(0) == encoded[1]

    images = np.load(build_cache(folder, tmp_path / "cache").path / "images.npy", mmap_mode="r")
    carried = cloudpickle.dumps(encoder._Embedding(flat, images, torch.device("cpu")))
    assert len(carried) < 2000
    assert torch.equal(cloudpickle.loads(carried)(range(5, 9)), flat(torch.from_numpy(images[5:9].copy()) / 255))
    part = encoder._Embedding(flat, images[2:], torch.device("cpu"))
    assert torch.equal(taken(part)(range(3)), flat(torch.from_numpy(images[2:5].copy()) / 255))


def flat(images):
    return images.flatten(1)


@pytest.mark.timeout(900)  # six processes come up, which beside other work takes minutes
def test_what_ray_data_does_has_the_bits_of_one_process_though_a_worker_is_killed(tmp_path, folder, monkeypatch, capfd):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    killed, seen = [], []
    alone = build_cache(folder, tmp_path / "alone")
    network = quick(Conv4(Conv4Config(3, 32, 4), Rng.from_seed(0).torch()).eval())
    matrix = embed_all(network, alone.images, batch_size=256)
    partitioner = KMeansPartitioner(8, 4)
    labels = partitioner.fit(matrix, Rng.from_seed(1), min_size=2)

    def kill_one(done, n):
        seen.append(done)
        for worker in [] if killed else busy_workers()[:1]:
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)

    with connected(None, tmp_path / "ray") as (n_processors, _):
        import ray

        holder = ray.remote(num_cpus=n_processors)(Mailbox).remote()  # as the workers of a run hold them all
        assert not ray.get(holder.begin.remote())
        by = DataWorkers(2)
        shared = build_cache(folder, tmp_path / "shared", by=by, on_progress=kill_one)
        same = embed_all(network, shared.images, batch_size=256, by=by)
        again = partitioner.fit(matrix, Rng.from_seed(1), min_size=2, by=by)
    assert killed
    assert seen == sorted(seen)
    assert seen[-1] == 2 * N_SMALL
    assert len(shared.images) == N_SMALL  # all but the bad one, and the larger one once
    for name in ("images.npy", "hashes.npy", "names.json", "skipped.csv", "cache.json"):
        assert (tmp_path / "shared" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert torch.equal(same, matrix)
    np.testing.assert_array_equal(again, labels)
    assert capfd.readouterr().out == ""
