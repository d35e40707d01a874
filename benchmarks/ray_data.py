"""Images per second from a folder of JPEGs to a cache and to embeddings, by Ray Data against threads of one process.

usage: python benchmarks/ray_data.py [--images 8000] [--side 256] [--size 32] [--workers 1 2] [--rounds 3]

Both do the same: `build_cache` and then `embed_all` by a Conv4 of 64 filters, and the bytes must be equal. N workers of Ray Data of one
thread each take turns with one process of N threads; time is that of the clock, and the best round of each counts. Actors take seconds to
come up, and do so twice, once to read and once to embed: how long is measured by giving them nothing to do, and told beside the rate
without it; both together give the rate for 100,000 images. Asked: 80 % of the local rate there.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable
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

N_ASKED = 100_000


def seconds(run: Callable[[], object]) -> float:
    """Return how long a call takes by the clock."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--side", type=int, default=256, help="height of a JPEG; it is a quarter wider")
    parser.add_argument("--size", type=int, default=32, help="side to which it is brought")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if importlib.util.find_spec("ray") is None:
        print("SKIPPED: Ray is not installed; pip install 'umeta[ray]'", file=sys.stderr)
        return
    n, took = given.images, dict[str, list[float]]()
    encoder = Conv4(Conv4Config(3, given.size, 64), Rng.from_seed(0).torch()).eval()
    with tempfile.TemporaryDirectory() as made, connected(None, Path(made) / "ray"):
        folder = Path(made) / "photos"
        folder.mkdir()
        write_jpegs(folder, n, given.side)
        source, made_by = open_source(folder), dict[str, bytes]()

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
                    took.setdefault(name, []).append(seconds(run))
                    print(f"round {number + 1}, {name}: {took[name][-1]:.1f} s", flush=True)
    best, rows = {name: min(values) for name, values in took.items()}, []
    for n_workers in given.workers:
        rate, start = n / best[f"local {n_workers}"], 2 * best[f"start {n_workers}"]
        steady = n / max(best[f"ray {n_workers}"] - start, 1e-9)
        for_asked = N_ASKED / (start + N_ASKED / steady)
        one_thread = made_by[f"local {given.workers[0]}"]
        rows.append(
            {
                "workers": n_workers,
                "local_per_s": round(rate),
                "ray_per_s": round(n / best[f"ray {n_workers}"]),
                "start_s": round(start, 1),
                "steady_ratio": round(steady / rate, 2),
                "ratio_for_100000": round(for_asked / rate, 2),
                "same_bytes": made_by[f"ray {n_workers}"] == one_thread,
            }
        )
    print(f"\n{n} JPEGs of {given.side + given.side // 4} x {given.side} to {given.size} x {given.size} and to embeddings")
    for row in rows:
        print(
            f"{row['workers']} workers: {row['ray_per_s']:,} images/s, as many threads: {row['local_per_s']:,}; {row['start_s']} s to "
            f"start, without it {row['steady_ratio']:.0%} of the local rate, for {N_ASKED:,} images {row['ratio_for_100000']:.0%}; "
            f"{'the same' if row['same_bytes'] else 'OTHER'} bytes as one thread"
        )
    print(json.dumps({"benchmark": "ray_data", "images": n, "seconds": took, "rows": rows}))


if __name__ == "__main__":
    main()
