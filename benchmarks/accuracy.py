"""Minutes to an accuracy on Omniglot, 5-way 1-shot on held-out characters, for any recipes.

    python benchmarks/accuracy.py --recipes default cactus-protonets --budget 20m --out accuracy/

A budget is a schedule here, of which a half-finished run says little; so each recipe learns anew with 1 minute, 2, 4, ... up to `--budget`,
and the first of these that reaches an accuracy is the time to it. Rows in `OUT/accuracy.json` are kept, so that Ctrl-C, a longer budget or
more recipes cost no row twice. Beside it the limit, which no learner goes below: the seconds in which the images are read.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

from umeta.benchmarks.benchmark import get_benchmark
from umeta.core.errors import UmetaError
from umeta.images.cache import build_cache
from umeta.recipes.budget import seconds
from umeta.recipes.learn import learn
from umeta.recipes.named import RECIPES
from umeta.recipes.request import resolve
from umeta.recipes.score import Question, score

ASKED = (0.6884, 0.8380, 0.910, 0.95, 0.97)


def one_row(recipe: str, budget_s: float, given: argparse.Namespace) -> dict:
    """Learn once and score; a run that was stopped goes on."""
    run = given.out / f"{recipe}-{budget_s:g}s-seed{given.seed}"
    manifest = learn(resolve(given.on, recipe, budget_s=budget_s, seed=given.seed), run, resume=run.exists())
    question = Question(given.on, ways=(5,), shots=(1,), n_tasks=given.tasks)
    (row,) = score(run, question).rows
    return {
        "recipe": recipe,
        "on": given.on,
        "seed": given.seed,
        "budget_s": budget_s,
        "elapsed_s": round(manifest["elapsed_s"], 1),
        "accuracy": round(row.accuracy, 4),
        "ci95": round(row.ci95, 4),
        "labels_seen": row.labels_seen,
        "n_tasks": row.n_tasks,
        "threads": torch.get_num_threads(),
    }


def told(rows: list[dict], recipe: str) -> str:
    """Return the minutes to each accuracy, as far as a recipe got."""
    own = sorted((row["elapsed_s"], row["accuracy"]) for row in rows if row["recipe"] == recipe)
    first = [next((f"{took / 60:.1f}" for took, reached in own if reached >= asked), "-") for asked in ASKED]
    best = max((reached for _, reached in own), default=float("nan"))
    return f"{recipe:24}" + "".join(f"{minutes:>9}" for minutes in first) + f"{100 * best:9.1f}"


def reading_s(on: str) -> float:
    """Return how long it takes to read the images into a cache."""
    source = get_benchmark(on).pool(get_benchmark(on).protocols[0])
    with tempfile.TemporaryDirectory() as made:
        began = time.perf_counter()
        build_cache(source, Path(made) / "cache", n_workers=torch.get_num_threads())
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["default"], help=f"all, or of: {', '.join(RECIPES)}")
    parser.add_argument("--budget", default="20m", help="the longest run of a recipe; shorter ones come first")
    parser.add_argument("--on", default="omniglot", help="a benchmark")
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("accuracy"))
    given = parser.parse_args()
    recipes = list(RECIPES) if given.recipes == ["all"] else given.recipes
    longest = seconds(given.budget)
    budgets = [60.0 * 2**power for power in range(20) if 60.0 * 2**power < longest] + [longest]
    path = given.out / "accuracy.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    done = {(row["recipe"], row["on"], row["seed"], row["budget_s"], row["n_tasks"]) for row in rows}
    wanted = [(recipe, budget_s) for recipe in recipes for budget_s in budgets]
    wanted = [one for one in wanted if (one[0], given.on, given.seed, one[1], given.tasks) not in done]
    print(f"{len(wanted)} runs to make, {sum(budget_s for _, budget_s in wanted) / 60:.0f} minutes of learning", flush=True)
    for recipe, budget_s in wanted:
        try:
            rows.append(one_row(recipe, budget_s, given))
        except UmetaError as error:
            print(f"SKIPPED {recipe} at {budget_s / 60:g} min: {error}", file=sys.stderr, flush=True)
            continue
        print(f"{recipe:24} {budget_s / 60:5.1f} min: {100 * rows[-1]['accuracy']:.1f} %", flush=True)
        path.write_text(json.dumps({"command": "python benchmarks/accuracy.py " + " ".join(sys.argv[1:]), "rows": rows}, indent=1) + "\n")
    own = [row for row in rows if (row["on"], row["seed"], row["n_tasks"]) == (given.on, given.seed, given.tasks)]
    print(f"{'minutes to, %':24}" + "".join(f"{100 * asked:9.2f}" for asked in ASKED) + f"{'best':>9}")
    for recipe in recipes:
        print(told(own, recipe))
    print(f"{'limit: images are read':24}{reading_s(given.on) / 60:9.2f}")


if __name__ == "__main__":
    main()
