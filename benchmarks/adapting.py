"""How long does a user wait? Learn 5 classes from 5 images of each and answer 75 queries, on one thread, from prepared arrays.

usage: python benchmarks/adapting.py RUN
"""

import argparse
import statistics
import sys
import time

import numpy as np
import torch

import umeta
from umeta.core.rng import Rng

N_WAY, K_SHOT, N_QUERY = 5, 5, 75


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--repeats", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    procedure = umeta.load(arguments.run)
    wanted = procedure.preparation
    shape = (N_WAY * K_SHOT + N_QUERY, wanted.side, wanted.side, *([3] if wanted.channels == 3 else []))
    images = Rng.from_seed(0).numpy().integers(0, 256, shape, np.uint8)
    names = np.arange(N_WAY).repeat(K_SHOT)
    times = []
    for _ in range(arguments.repeats):
        began = time.process_time()
        estimator = umeta.FewShotClassifier(procedure).fit(images[: len(names)], names)
        estimator.predict_proba(images[len(names) :])
        times.append(1000 * (time.process_time() - began))
    print(f"adapt and answer, CPU time: median {statistics.median(times):.1f} ms, fastest {min(times):.1f} ms, slowest {max(times):.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
