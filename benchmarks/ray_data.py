"""Time from a folder of JPEGs to a cache and to embeddings, by Ray Data against threads of one process.

usage: python benchmarks/ray_data.py [--images 4000] [--side 256] [--size 32] [--workers 1 2] [--rounds 2]

Both do the same: `build_cache` and then `embed_all` by a Conv4 of 64 filters, and the bytes must be equal. N workers of Ray Data of one
thread each take turns with one process of N threads; the best round of each counts, once by the clock, and once by the processor time of
all processes, Ray's own among them. Others on the machine lengthen the clock for all, and let Ray's services, which look around all the
while, spend more. Actors take a while to come up, and do so twice, once to read and once to embed: how long is measured by giving them
nothing to do. The rate for 100,000 images includes it. Asked: 80 % of the local rate there.
"""

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from embedding import write_jpegs

from umeta.core.hands import cut
from umeta.core.rng import Rng
from umeta.images.cache import build_cache
from umeta.images.embed.encoder import embed_all
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.source import open_source
from umeta.recipes.on_ray import connected
from umeta.recipes.ray_data import DataWorkers

N_ASKED, SEEN_EVERY_S = 100_000, 1.0


class ProcessorTime:
    """What this process and all of the Ray that it started have spent so far; those that have ended count as they were last seen."""

    def __init__(self) -> None:
        self._token = f"RAY_AUTH_TOKEN={os.environ['RAY_AUTH_TOKEN']}".encode()
        self._ticks: dict[str, int] = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.look()
            time.sleep(SEEN_EVERY_S)

    def look(self) -> float:
        """Return it in seconds."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if process.name in self._ticks or self._token in (process / "environ").read_bytes():
                    self._ticks[process.name] = sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
        return time.process_time() + sum(list(self._ticks.values())) / os.sysconf("SC_CLK_TCK")

    def of(self, run: Callable[[], object]) -> tuple[float, float]:
        """Return how much a call spends, and how long it takes by the clock."""
        began, spent = time.perf_counter(), self.look()
        run()
        return self.look() - spent, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--side", type=int, default=256, help="height of a JPEG; it is a quarter wider")
    parser.add_argument("--size", type=int, default=32, help="side to which it is brought")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    if importlib.util.find_spec("ray") is None:
        print("SKIPPED: Ray is not installed; pip install 'umeta[ray]'", file=sys.stderr)
        return
    n, took = given.images, dict[str, list[tuple[float, float]]]()
    encoder = Conv4(Conv4Config(3, given.size, 64), Rng.from_seed(0).torch()).eval()
    with tempfile.TemporaryDirectory() as made, connected(None, Path(made) / "ray"):
        folder = Path(made) / "photos"
        folder.mkdir()
        write_jpegs(folder, n, given.side)
        source, made_by, spent = open_source(folder), dict[str, bytes](), ProcessorTime()

        def local(n_threads: int, number: int) -> None:
            torch.set_num_threads(n_threads)
            cache = build_cache(source, Path(made) / f"local-{n_threads}-{number}", image_size=given.size, channels=3, n_workers=n_threads)
            made_by[f"local {n_threads}"] = cache.images.tobytes() + embed_all(encoder, cache.images).numpy().tobytes()

        def spread(n_workers: int, number: int) -> None:
            by = DataWorkers(n_workers)
            cache = build_cache(source, Path(made) / f"ray-{n_workers}-{number}", image_size=given.size, channels=3, by=by)
            made_by[f"ray {n_workers}"] = cache.images.tobytes() + embed_all(encoder, cache.images, by=by).numpy().tobytes()

        for number in range(given.rounds):
            for n_workers in given.workers:
                kinds: dict[str, Callable[[], object]] = {
                    f"local {n_workers}": lambda n=n_workers, number=number: local(n, number),
                    f"ray {n_workers}": lambda n=n_workers, number=number: spread(n, number),
                    f"start {n_workers}": lambda n=n_workers: list(DataWorkers(n)(len, cut(2 * n, 1))),
                }
                for name, run in kinds.items():
                    took.setdefault(name, []).append(spent.of(run))
                    print(f"round {number + 1}, {name}: {took[name][-1][0]:.1f} s of processors, {took[name][-1][1]:.1f} s", flush=True)
    print(
        f"\n{n} JPEGs of {given.side + given.side // 4} x {given.side} to {given.size} x {given.size} and to embeddings, a thread a worker"
    )
    rows = []
    for n_workers in given.workers:
        same = made_by[f"ray {n_workers}"] == made_by[f"local {given.workers[0]}"]
        print(f"{n_workers} workers, {'the same' if same else 'OTHER'} bytes as one thread")
        for column, name in enumerate(("processors", "clock")):
            local_s, ray_s, start_s = (min(pair[column] for pair in took[f"{kind} {n_workers}"]) for kind in ("local", "ray", "start"))
            steady_s = ray_s - 2 * start_s
            asked = local_s / (steady_s + 2 * start_s * n / N_ASKED)
            rows.append(
                {"workers": n_workers, "by": name, "local_s": local_s, "ray_s": ray_s, "start_s": start_s, "ratio": asked, "same": same}
            )
            print(
                f"  by the {name}: {local_s:.1f} s, Ray Data {steady_s:.1f} s and {2 * start_s:.1f} s to start: "
                f"{local_s / steady_s:.0%} of the local rate without the start, {asked:.0%} with it for {N_ASKED:,} images"
            )
    print(json.dumps({"benchmark": "ray_data", "images": n, "seconds": took, "rows": rows}))


if __name__ == "__main__":
    main()
