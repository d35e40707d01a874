"""Seconds for P = 50 clusterings into k = 500 of 22,000 embeddings of 256 dimensions, and one of them by scikit-learn beside it."""

import json
import os
import sys
import time

import torch
from sklearn.cluster import KMeans

from umeta.core.rng import Rng
from umeta.images.partition.kmeans import KMeansPartitioner


def main() -> None:
    n_partitions = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    generator = Rng.from_seed(0).torch()
    centers = torch.randn(1100, 256, generator=generator)
    points = centers.repeat_interleave(20, 0) + torch.randn(22_000, 256, generator=generator)
    began = time.perf_counter()
    labels = KMeansPartitioner(500, n_partitions).fit(points, Rng.from_seed(0), min_size=6)
    ours = time.perf_counter() - began
    began = time.perf_counter()
    KMeans(500, n_init=1, max_iter=25, random_state=0).fit(points.numpy())
    peer = time.perf_counter() - began
    print(
        json.dumps(
            {
                "benchmark": "clustering",
                "n_partitions": len(labels),
                "seconds": round(ours, 1),
                "seconds_each": round(ours / len(labels), 2),
                "scikit_learn_seconds_each": round(peer, 2),
                "threads": os.environ.get("OMP_NUM_THREADS", "all"),
            }
        )
    )


if __name__ == "__main__":
    main()
