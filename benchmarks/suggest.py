"""How much do suggested labels gain over random ones? Accuracy on the rest of a pool of held-out classes, which nobody named yet.

python benchmarks/suggest.py omniglot=runs/default mini-imagenet=runs/mini --out docs/results/suggest.json
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import umeta
from umeta.artifacts.artifact import read_json
from umeta.benchmarks.benchmark import get_benchmark
from umeta.core.rng import Rng
from umeta.functional.statistics import mean_ci95, paired_difference
from umeta.images.suggestion import suggest

N_EACH = 20


def accuracies(procedure, images, labels, n, rng):
    """Return the accuracy after n suggested, n suggested in two halves, and n random labels; a class without a label is never named."""

    def score(chosen):
        rest = np.setdiff1d(np.arange(len(images)), chosen)
        predicted = procedure.adapt((images[chosen], labels[chosen])).predict(images[rest])
        return float((predicted == labels[rest]).mean())

    at_once = suggest(procedure, images, n)
    first = at_once[: n // 2]
    rest = np.setdiff1d(np.arange(len(images)), first)
    then = rest[suggest(procedure, images[rest], n - len(first), (images[first], labels[first].tolist()))]
    drawn = rng.fork("random").numpy().permutation(len(images))[:n]
    return [score(chosen) for chosen in (at_once, np.concatenate([first, then]), drawn)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="BENCHMARK=RUN")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pools", type=int, default=20)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--labels", type=int, nargs="+", default=[10, 20, 40])
    arguments = parser.parse_args()
    rows = []
    for name, _, run in (pair.partition("=") for pair in arguments.runs):
        procedure, benchmark = umeta.load(run), get_benchmark(name)
        held_out = benchmark.split(read_json(Path(run) / "manifest.json")["protocol"], "meta_test")
        found = {n: [] for n in arguments.labels}
        for pool in range(arguments.pools):
            generator = Rng.from_seed(0).fork("pool", pool).numpy()
            classes = generator.permutation(held_out.n_classes)[: arguments.classes]
            index = np.concatenate([generator.permutation(np.flatnonzero(held_out.labels == one))[:N_EACH] for one in classes])
            images = np.moveaxis(procedure.preparation.pool(held_out.images[index]), 1, -1)
            for n in arguments.labels:
                found[n].append(accuracies(procedure, images, held_out.labels[index], n, Rng.from_seed(0).fork(f"{n} labels", pool)))
        for n, values in found.items():
            columns = list(zip(*values, strict=True))
            row = {"benchmark": name, "classes": arguments.classes, "images": arguments.classes * N_EACH, "labels": n}
            for column, kind in zip(columns, ("suggested", "suggested_twice", "random"), strict=True):
                row[kind], row[f"{kind}_ci95"] = mean_ci95(column)
            row["gain"], row["gain_ci95"] = paired_difference(columns[0], columns[2])
            rows.append(row)
            print({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}, flush=True)
    command = " ".join(["python", "benchmarks/suggest.py", *(f"{pair.partition('=')[0]}=RUN" for pair in arguments.runs), *told(arguments)])
    arguments.out.write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")


def told(arguments):
    """Return the options as they would be typed."""
    labels = map(str, arguments.labels)
    return ["--pools", str(arguments.pools), "--classes", str(arguments.classes), "--labels", *labels, "--out", "docs/results/suggest.json"]


if __name__ == "__main__":
    sys.exit(main())
