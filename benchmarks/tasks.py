"""Tasks per second, 20-way 1-shot with 5 queries, against easyfsl's sampler and a DataLoader of one task at a time, all on one thread.

usage: python benchmarks/tasks.py [--tasks 10000]

All draw from the same partition of 22,000 images of 28x28 into 500 clusters, ours from 50 such partitions. First indices alone, in batches
of 8 as CACTUs draws them, of 100 and of 400, then with the images gathered, in batches of 100. Beside it the limit: the bytes of a task's
images over the rate at which this machine copies memory.

easyfsl's sampler needs no torchvision, but the package that it sits in imports it; where torchvision is missing, `pip install --no-deps
easyfsl` and the one name that the sampler takes from there, for an annotation, is put in its place. It also hands torch's `Sampler` an
argument that torch no longer takes; that is swallowed. The sampling itself is easyfsl's own.
"""

import argparse
import importlib
import importlib.util
import json
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, Sampler

from umeta.core.rng import Rng
from umeta.images.episode import Pool
from umeta.images.partition.partition import Partitions
from umeta.images.tasks.partition_tasks import PartitionTasks

N_WAY, K_SHOT, N_QUERY = 20, 1, 5
N_IMAGES, N_CLUSTERS, N_PARTITIONS, SIDE = 22_000, 500, 50, 28
BATCHES, BATCH, TRIALS, ASKED = (8, 100, 400), 100, 3, 50.0


def easyfsl_sampler() -> Any:
    """Return easyfsl's `TaskSampler`; raises `ImportError` if easyfsl is not installed."""
    if importlib.util.find_spec("easyfsl") is None:
        raise ImportError("easyfsl is not installed: pip install --no-deps easyfsl")
    if importlib.util.find_spec("torchvision") is None:
        stand_in = types.ModuleType("easyfsl.datasets")
        stand_in.FewShotDataset = object  # type: ignore[attr-defined]
        sys.modules["easyfsl.datasets"] = stand_in
    sampler = importlib.import_module("easyfsl.samplers.task_sampler").TaskSampler
    return type("TaskSampler", (sampler, Tolerant), {})


class Tolerant(Sampler):
    """Torch's `Sampler` as it was when easyfsl was written: it takes a `data_source`."""

    def __init__(self, data_source: object = None) -> None:
        super().__init__()


class Labeled:
    """Images with labels, as easyfsl's sampler and a DataLoader ask for them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = torch.from_numpy(images), labels.tolist()

    def get_labels(self) -> list[int]:
        return self.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.images[index], self.labels[index]


class OneAtATime(IterableDataset):
    """Our own tasks, drawn and gathered one by one, as a DataLoader would be fed without batches."""

    def __init__(self, tasks: PartitionTasks, n_tasks: int) -> None:
        self.tasks, self.n_tasks = tasks, n_tasks

    def __iter__(self) -> Iterator[np.ndarray]:
        rng = Rng.from_seed(0)
        for index in range(self.n_tasks):
            yield gathered(self.tasks, rng.fork("one", index), 1)[0]


def gathered(tasks: PartitionTasks, rng: Rng, n_tasks: int) -> np.ndarray:
    """Return the uint8 images of a batch of tasks."""
    return tasks.pool.images[tasks.sample_index(rng, n_tasks)]


def rate(run: Callable[[], object], n: int) -> float:
    """Return how many a second of processor time, the best of a few trials; of one thread, so that others on the machine do not count."""
    best = float("inf")
    for _ in range(TRIALS):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    return n / best


def copy_rate() -> float:
    """Return bytes a second that this machine copies, from memory to memory."""
    source = np.ones(1 << 27, np.uint8)
    target = np.empty_like(source)
    return rate(lambda: np.copyto(target, source), source.nbytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rng, n, few = Rng.from_seed(0), given.tasks, max(given.tasks // 50, 20)
    images = rng.fork("images").numpy().integers(256, size=(N_IMAGES, 1, SIDE, SIDE), dtype=np.uint8)
    labels = [rng.fork("labels", p).numpy().integers(N_CLUSTERS, size=N_IMAGES) for p in range(N_PARTITIONS)]
    tasks = PartitionTasks(Pool(images), Partitions.from_labels(labels, K_SHOT + N_QUERY), N_WAY, K_SHOT, N_QUERY)

    def in_batches(draw: Callable[[Rng, int], np.ndarray], size: int = BATCH) -> None:
        for index in range(0, n, size):
            draw(rng.fork("batch", index), min(size, n - index))

    bytes_each = N_WAY * (K_SHOT + N_QUERY) * SIDE * SIDE
    found = {f"umeta_indices, by {size}": rate(lambda size=size: in_batches(tasks.sample_index, size), n) for size in BATCHES}
    found |= {
        "umeta_images": rate(lambda: in_batches(lambda stream, size: gathered(tasks, stream, size)), n),
        "dataloader_one_task_at_a_time": rate(lambda: list(DataLoader(OneAtATime(tasks, few), batch_size=None)), few),
        "limit_images_by_copy_rate": copy_rate() / bytes_each,
    }
    ratios = {"umeta_images / limit": found["umeta_images"] / found["limit_images_by_copy_rate"]}
    ratios["umeta_images / dataloader"] = found["umeta_images"] / found["dataloader_one_task_at_a_time"]
    try:
        labeled = Labeled(images, labels[0])
        sampler = easyfsl_sampler()(labeled, N_WAY, K_SHOT, N_QUERY, few)
        loader = DataLoader(labeled, batch_sampler=sampler, collate_fn=sampler.episodic_collate_fn)
        found["easyfsl_indices"] = rate(lambda: list(sampler), few)
        found["easyfsl_images"] = rate(lambda: list(loader), few)
        for size in BATCHES:
            ratios[f"umeta / easyfsl, by {size}"] = found[f"umeta_indices, by {size}"] / found["easyfsl_indices"]
        ratios["umeta_images / easyfsl_images"] = found["umeta_images"] / found["easyfsl_images"]
    except ImportError as error:
        print(f"SKIPPED easyfsl: {error}", file=sys.stderr)
    for name, value in found.items():
        print(f"{name:32} {value:12,.0f} tasks/s")
    for name, value in ratios.items():
        asked = f"  (asked: at least {ASKED:.0f})" if name.startswith("umeta / easyfsl") else ""
        print(f"{name:32} {value:12.2f}{asked}")
    print(json.dumps({"benchmark": "tasks", "n_tasks": n, "per_s": found, "ratios": ratios}))


if __name__ == "__main__":
    main()
