"""Tasks per second: 20-way 1-shot with 5 queries, one thread, from P = 50 partitions of 22,000 images into 500 clusters."""

import json
import time

import numpy as np
import torch

from umeta.core.rng import Rng
from umeta.images.episode import Pool
from umeta.images.partition.partition import Partitions
from umeta.images.tasks.partition_tasks import PartitionTasks

N_TASKS = 10_000


def main() -> None:
    torch.set_num_threads(1)
    rng = Rng.from_seed(0)
    labels = [rng.fork("labels", p).numpy().integers(500, size=22_000) for p in range(50)]
    tasks = PartitionTasks(Pool(np.zeros((22_000, 1, 28, 28), np.uint8)), Partitions.from_labels(labels, 6), 20, 1, 5)
    rates = []
    for trial in range(5):
        began = time.perf_counter()
        tasks.sample_index(rng.fork("tasks", trial), N_TASKS)
        rates.append(N_TASKS / (time.perf_counter() - began))
    print(json.dumps({"benchmark": "sampling", "tasks_per_s": round(max(rates)), "trials": [round(rate) for rate in rates]}))


if __name__ == "__main__":
    main()
