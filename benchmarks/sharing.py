"""Seconds of a step of learning that two processes share, by torchrun and by Ray, beside one process with as many threads.

    python benchmarks/sharing.py --on omniglot --recipe default --steps 60

All learn the same, in turns, for a few rounds; of each the least time a step counts, by the clock, the first left out, so two free
cores are wanted. "alone, shared arithmetic" is one process that computes as those of a team do. Asked: the shared step takes at most 15 %
longer than that of one process. The limit is half of the time that one process takes with one thread.
"""

import argparse
import csv
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LEARN = ["-m", "umeta", "learn"]
TORCHRUN = ["-m", "torch.distributed.run", "--master-addr", "127.0.0.1", "--master-port", "0", "--rdzv-backend", "c10d"]


def arms(n: int) -> dict[str, tuple[list[str], list[str], int]]:
    """Return for each what to run, with which flags, and how many threads a process has."""
    found = {
        "alone, one thread": (LEARN, [], 1),
        f"alone, {n} threads": (LEARN, [], n),
        f"alone, shared arithmetic, {n} threads": ([*TORCHRUN, "--nproc-per-node", "1", *LEARN], [], n),
        f"torchrun, {n} processes": ([*TORCHRUN, "--nproc-per-node", str(n), *LEARN], [], 1),
    }
    if importlib.util.find_spec("ray") is None:
        print("SKIPPED Ray: not installed; pip install 'umeta[ray]'", file=sys.stderr)
        return found
    return found | {f"Ray, {n} workers": (LEARN, ["--engine", "ray", "--workers", str(n)], 1)}


def seconds_of_a_step(metrics: Path) -> float:
    """Return the mean time of a step of the first practice in a run, its first step left out."""
    rows = [row for row in csv.DictReader(metrics.open()) if row["stage"] == "meta_train"]
    first, last = rows[0], rows[-1]
    return (float(last["elapsed_s"]) - float(first["elapsed_s"])) / (int(last["step"]) - int(first["step"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="omniglot", help="a source")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    if given.steps < 2:
        parser.error("--steps must be at least 2")
    every = arms(given.processes)
    took: dict[str, list[float]] = {name: [] for name in every}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.rounds):
            for place, (name, (program, flags, threads)) in enumerate(every.items()):
                run = Path(folder) / f"{number}-{place}"
                asked = [given.on, "--recipe", given.recipe, "--steps", str(given.steps), "--out", str(run)]
                command, settings = [sys.executable, *program, *asked, *flags], os.environ | {"OMP_NUM_THREADS": str(threads)}
                told = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
                if told.returncode:
                    sys.exit(f"{' '.join(command)} ended with {told.returncode}:\n{told.stderr[-2000:]}")
                took[name].append(seconds_of_a_step(run / "metrics.csv"))
    peer = min(took[f"alone, {given.processes} threads"])
    for name, times in took.items():
        print(f"{name:40} {min(times):7.3f} s a step   {min(times) / peer:5.2f} of the process with {given.processes} threads")


if __name__ == "__main__":
    main()
