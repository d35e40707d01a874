"""Seconds and memory of every stage at 10^4, 10^5 and 10^6 synthetic images, each stage in a process of its own.

usage: python benchmarks/growth.py [--up-to 1e6] [--folder FOLDER] [--size 32] [--record]

Images are made as they are read, so the source takes no memory. `anonymous` is what a process allocates; `file` are pages of the
memory-mapped cache, which the system takes back when it needs them. Every stage is told as it ends, and after each size what the next is
expected to take; Ctrl-C ends it with what is measured so far. Asked: no stage grows faster than n log n, and a million images in an hour
and 4 GiB.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from umeta.artifacts.artifact import read_artifact, write_artifact
from umeta.core.rng import Rng
from umeta.images.augment import VIEWS
from umeta.images.cache import ImageCache, build_cache
from umeta.images.embed.encoder import embed_all, quick
from umeta.images.episode import Pool
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.partition.neighbors import nearest, partners, shared_neighbors
from umeta.images.tasks.instance_tasks import InstanceTasks

RESULT = Path(__file__).parent.parent / "docs" / "results" / "growth.json"
FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "growth.png"
N_KINDS, SEEN_EVERY_S = 1000, 0.02
N_STEPS, N_ASKED = 20, 10**6


class Synthetic:
    """Color images of a thousand kinds: a pattern of 8 x 8 blocks per kind, noise per image."""

    def __init__(self, n: int, size: int) -> None:
        self.n, self.size, self.name = n, size, f"{n} synthetic images"
        generator = np.random.default_rng(0)
        self.kinds = generator.integers(30, 200, (N_KINDS, 8, 8, 3), dtype=np.uint8)
        self.noise = generator.integers(0, 50, (64, size, size, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return self.n

    def item_name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> np.ndarray:
        times = self.size // 8
        image = self.kinds[index % N_KINDS].repeat(times, 0).repeat(times, 1) + self.noise[index // N_KINDS % 64]
        image[0, 0] = (index & 255, index >> 8 & 255, index >> 16)
        return image


def cache(folder: Path, n: int, size: int) -> int:
    return len(build_cache(Synthetic(n, size), folder / "cache", n_workers=torch.get_num_threads()).images)


def embed(folder: Path, n: int, size: int) -> int:
    """By a Conv4 with 64 channels whose weights are as drawn: the same work as one that has learned."""
    encoder = Conv4(Conv4Config(3, size, 64, "stem"), Rng.from_seed(0).fork("net").torch()).eval()
    matrix = embed_all(quick(encoder), ImageCache.open(folder / "cache").images)
    write_artifact(folder / "embedding", "matrix", {"matrix": matrix}, {})
    return len(matrix)


def partition(folder: Path, n: int, size: int) -> int:
    matrix = read_artifact(folder / "embedding", "matrix")[0]["matrix"]
    KMeansPartitioner(1000, 1).fit(matrix, Rng.from_seed(0), min_size=2)
    return len(matrix)


def neighbors(folder: Path, n: int, size: int) -> int:
    near = nearest(read_artifact(folder / "embedding", "matrix")[0]["matrix"], 16)
    return len(partners(shared_neighbors(near, 0.3), 0.3, 16))


def sample(folder: Path, n: int, size: int) -> int:
    """Twenty batches of 512 views."""
    tasks = InstanceTasks(Pool(ImageCache.open(folder / "cache").images), 256, VIEWS["photos"], 1, 1)
    for step in range(N_STEPS):
        _ = tasks.sample_batch(Rng.from_seed(0).fork("tasks", step), 1)[0].query.images
    return N_STEPS * 512


STAGES = {stage.__name__: stage for stage in (cache, embed, partition, neighbors, sample)}


class Peak:
    """The largest resident memory while something runs, in bytes, by kind."""

    def __init__(self) -> None:
        self.anonymous = self.file = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._over.wait(SEEN_EVERY_S):
            self._look()

    def _look(self) -> None:
        held = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Rss"))
        self.anonymous = max(self.anonymous, int(held["RssAnon"].split()[0]) * 1024)
        self.file = max(self.file, int(held["RssFile"].split()[0]) * 1024)


def one(stage: str, folder: Path, n: int, size: int) -> dict:
    began, spent = time.perf_counter(), time.process_time()
    with Peak() as peak:
        items = STAGES[stage](folder, n, size)
    return {
        "n_images": n,
        "stage": stage,
        "items": items,
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - spent, 2),
        "anonymous_mib": round(peak.anonymous / 2**20),
        "file_mib": round(peak.file / 2**20),
    }


def exponents(rows: list[dict]) -> dict[str, float]:
    """Return each stage's growth from the second last size to the last: 1 is linear."""
    found = {}
    for stage in STAGES:
        took = sorted((row["n_images"], row["cpu_seconds"]) for row in rows if row["stage"] == stage)[-2:]
        if len(took) == 2:
            (n, first), (more, last) = took
            found[stage] = round(math.log(max(last, 1e-9) / max(first, 1e-9)) / math.log(more / n), 2)
    return found


def expected(rows: list[dict], n: int) -> str:
    """Return what all stages will take at another size if they grow on as over the last decade, in time at least linearly."""
    grown, took, held = exponents(rows), 0.0, 0.0
    for stage in STAGES:
        before, last = sorted((row for row in rows if row["stage"] == stage), key=lambda row: row["n_images"])[-2:]
        took += last["cpu_seconds"] * (n / last["n_images"]) ** max(grown[stage], 1.0)
        slope = (last["anonymous_mib"] - before["anonymous_mib"]) / (last["n_images"] - before["n_images"])
        held = max(held, last["anonymous_mib"] + slope * (n - last["n_images"]))
    return f"{n:>9,} expected: {took / 60:.0f} CPU minutes and {held / 1024:.1f} GiB"


def measure(stage: str, n: int, folder: Path, size: int) -> dict:
    """Run one stage in a process of its own; what it prints of errors is shown."""
    command = [sys.executable, __file__, "--folder", str(folder), "--size", str(size), "--stage", stage, str(n)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def draw(rows: list[dict]) -> None:
    from matplotlib.figure import Figure

    figure = Figure((9, 3.6), layout="constrained")
    for axes, (key, label) in zip(
        figure.subplots(1, 2), (("cpu_seconds", "CPU seconds"), ("anonymous_mib", "memory allocated, MiB")), strict=True
    ):
        for stage in STAGES:
            points = [(row["n_images"], max(row[key], 0.01)) for row in rows if row["stage"] == stage]
            axes.loglog(*zip(*points, strict=True), marker="o", label=stage)
        axes.set_xlabel("images")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.savefig(FIGURE, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--up-to", type=float, default=1e5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--record", action="store_true", help="write docs/results/growth.json and docs/figures/growth.png")
    parser.add_argument("--stage", nargs=2, metavar=("STAGE", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(one(options.stage[0], options.folder, int(options.stage[1]), options.size)))
        return
    sizes = [10**power for power in range(4, 10) if 10**power <= options.up_to]
    rows: list[dict] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as made, suppress(KeyboardInterrupt):
        for n in sizes:
            if len(rows) >= 2 * len(STAGES):
                print(expected(rows, n), flush=True)
            folder = Path(made) / str(n)
            folder.mkdir()
            for stage in STAGES:
                print(f"{n:>9,} {stage:10}", end="", flush=True)
                row = measure(stage, n, folder, options.size)
                rows.append(row)
                print(f" {row['seconds']:8.1f} s  {row['anonymous_mib']:6} MiB  {row['file_mib']:6} MiB of files", flush=True)
    if sum(row["n_images"] == sizes[-1] for row in rows) < len(STAGES):
        print("\nstopped before the end")
        options.record = False
    grown = exponents(rows)
    print("growth of CPU time over the last decade, as a power of n:", ", ".join(f"{stage} {power}" for stage, power in grown.items()))
    if len(rows) >= 2 * len(STAGES) and sizes[-1] < N_ASKED:
        print(expected(rows, N_ASKED))
    if options.record:
        content = {"command": f"python benchmarks/growth.py --up-to {options.up_to:g} --record", "threads": torch.get_num_threads()}
        RESULT.write_text(json.dumps(content | {"rows": rows, "exponents": grown}, indent=1) + "\n")
        draw(rows)


if __name__ == "__main__":
    main()
