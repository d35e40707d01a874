"""Learn Omniglot by the default recipe with each ingredient taken out in turn, and score on the validation characters.

usage: python benchmarks/ablation.py FOLDER [--budget 4m] [--seeds 0] [--only NAME ...]

Rows that are there already are kept; docs/results/ablation.json is written anew after each. The test characters are not looked at.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from umeta.artifacts.artifact import read_json
from umeta.benchmarks.benchmark import get_benchmark
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.functional.prototypes import Metric
from umeta.images.episode import Pool
from umeta.images.procedure import ImageLearningProcedure
from umeta.recipes.budget import seconds
from umeta.recipes.learn import learn
from umeta.recipes.named import default
from umeta.recipes.request import resolve
from umeta.recipes.score import Measure

RESULT = Path(__file__).parent.parent / "docs" / "results" / "ablation.json"
KINDS = ((5, 1), (5, 5), (20, 1), (20, 5))
VARIANTS = {
    "default": {},
    "without rounds": {"n_rounds": 0},
    "one round": {"n_rounds": 1},
    "without quarter turns as classes": {"turns": False},
    "affine views: no warps, no strokes": {"augment": "affine"},
    "temperature 0.1": {"metric": Metric("cosine", 0.1)},
    "squared distances, prototypes": {"metric": Metric("euclidean"), "objective": "episode", "signed": False},
    "prototypes instead of all pairs": {"objective": "episode"},
    "last block rectified and pooled": {"signed": False},
    "64 classes a task": {"n_way": 64},
    "without averaged weights": {"average": 0.0},
    "pooling after every convolution": {"downsample": "pool"},
    "all convolutions strided": {"downsample": "stride"},
}


def row(name: str, seed: int, folder: Path, budget: str) -> dict:
    """Learn one variant and score it; a run that is there is only scored."""
    run = folder / f"{name.replace(' ', '-').replace(':', '').replace(',', '')}-{seed}"
    recipe = replace(default(), **VARIANTS[name])
    learn(resolve("omniglot", recipe, protocol="cactus", budget_s=seconds(budget), seed=seed), run, resume=run.is_dir())
    shipped, manifest = ImageLearningProcedure.load(run), read_json(run / "manifest.json")
    labeled = get_benchmark("omniglot").split("cactus", "meta_val")
    pool, found = Pool(labeled.images), {}
    for n_way, k_shot in KINDS:
        tasks = labeled_tasks(labeled, pool, n_way=n_way, k_shot=k_shot, n_query=15)
        rng = Rng.from_seed(0).fork(f"{n_way}-{k_shot}")
        accuracy, half = evaluate(shipped.procedure, tasks, Measure(), n_tasks=1000, rng=rng).summary()
        found[f"{n_way}w{k_shot}s"] = {"accuracy": round(accuracy, 5), "ci95": round(half, 5)}
    learned = {key: manifest[key] for key in ("agreement", "steps", "elapsed_s", "threads")}
    return {"name": name, "seed": seed, "budget": budget, **found, **learned}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--budget", default="4m")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", default=list(VARIANTS))
    given = parser.parse_args()
    for seed in given.seeds:
        for name in given.only:
            content = json.loads(RESULT.read_text()) if RESULT.is_file() else {"rows": []}
            if any((old["name"], old["seed"], old["budget"]) == (name, seed, given.budget) for old in content["rows"]):
                continue
            content["command"] = f"python benchmarks/ablation.py FOLDER --budget {given.budget}"
            content["rows"].append(row(name, seed, given.folder, given.budget))
            RESULT.write_text(json.dumps(content, indent=1) + "\n")
            print(json.dumps(content["rows"][-1]), f"({torch.get_num_threads()} threads)", flush=True)


if __name__ == "__main__":
    main()
