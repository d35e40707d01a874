"""Seconds for a clustering of 22,000 embeddings of 256 dimensions into 500, against scikit-learn's KMeans and MiniBatchKMeans.

usage: python benchmarks/clustering.py [--partitions 50] [--points 22000] [--k 500] [--peers 3]

Ours makes all partitions as CACTUs does, each in a metric of its own; a peer clusters the unscaled points. The inertias of the
unscaled points, means over several runs of each in turns, are compared too: equal within 1 % is asked for. Beside it the limit: the
multiplications of six iterations, each of which compares every point with every center, over the rate at which this machine multiplies
matrices.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans

from umeta.core.rng import Rng
from umeta.images.partition.kmeans import KMeansPartitioner

DIM, MIN_SIZE, PER_CLASS, ASKED, EQUAL = 256, 6, 20, 10.0, 0.01


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call takes, and what it returns; with one thread in processor time, so that others on the machine do not count."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    began = clock()
    found = run()
    return clock() - began, found


def inertia(points: np.ndarray, labels: np.ndarray) -> float:
    """Return the sum of squared distances of points to the mean of their cluster."""
    counts = np.maximum(np.bincount(labels), 1)
    sums = np.zeros((len(counts), points.shape[1]))
    np.add.at(sums, labels, points)
    return float((points.astype(np.float64) ** 2).sum() - (sums**2 / counts[:, None]).sum())


def matrix_rate() -> float:
    """Return floating-point operations a second of a single-precision matrix product, the best of five."""
    a = torch.ones(1024, 1024)
    return max(2 * 1024**3 / seconds(lambda: a @ a)[0] for _ in range(5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=50)
    parser.add_argument("--points", type=int, default=22_000)
    parser.add_argument("--k", type=int, default=500)
    parser.add_argument("--peers", type=int, default=3, help="runs of each peer, and of ours on the unscaled points")
    given = parser.parse_args()
    faiss.omp_set_num_threads(torch.get_num_threads())
    generator = Rng.from_seed(0).torch()
    centers = torch.randn(given.points // PER_CLASS, DIM, generator=generator)
    points = centers.repeat_interleave(PER_CLASS, 0) + torch.randn(len(centers) * PER_CLASS, DIM, generator=generator)
    array, partitioner = points.numpy(), KMeansPartitioner(given.k, given.partitions)
    ours_s, labels = seconds(lambda: partitioner.fit(points, Rng.from_seed(0), min_size=MIN_SIZE))
    operations = 2 * len(array) * given.k * DIM * partitioner.n_iter
    limit_s = operations / matrix_rate()
    methods: dict[str, Callable[[int], np.ndarray]] = {
        "umeta": lambda seed: partitioner.fit(points, Rng.from_seed(seed), min_size=MIN_SIZE, seconds=-1.0)[0],
        "scikit-learn KMeans": lambda seed: KMeans(given.k, n_init=1, random_state=seed).fit(array).labels_,
        "scikit-learn MiniBatchKMeans": lambda seed: MiniBatchKMeans(given.k, n_init=1, random_state=seed).fit(array).labels_,
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    for seed in range(given.peers):
        for name, method in methods.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                took, one = seconds(lambda method=method, seed=seed: method(seed))
            runs[name].append((took, inertia(array, one)))
    found = {name: tuple(np.mean(run, 0).tolist()) for name, run in runs.items()}
    found["umeta"] = (ours_s / len(labels), found["umeta"][1])
    n_threads = torch.get_num_threads()
    print(f"{len(labels)} partitions of {len(array)} x {DIM} into {given.k} in {ours_s:.1f} s, {n_threads} threads")
    own_s, own = found["umeta"]
    rows = []
    for name, (each_s, one) in found.items():
        worse = own / one - 1
        rows.append(
            {"name": name, "seconds_each": round(each_s, 3), "times_umeta": round(each_s / own_s, 2), "inertia_off": round(worse, 4)}
        )
        told = f"inertia of ours {worse:+.2%} of it ({'equal' if abs(worse) <= EQUAL else 'better' if worse < 0 else 'worse'})"
        asked = f" (asked: at least {ASKED:.0f})" if name == "scikit-learn KMeans" else ""
        print(f"{name:30} {each_s:8.2f} s each, {each_s / own_s:6.2f} times ours{asked}; {told}")
    print(f"{'limit by matrix products':30} {limit_s:8.2f} s each; ours takes {own_s / limit_s:.1f} times that")
    print(json.dumps({"benchmark": "clustering", "partitions": len(labels), "threads": n_threads, "limit_s": limit_s, "rows": rows}))


if __name__ == "__main__":
    main()
