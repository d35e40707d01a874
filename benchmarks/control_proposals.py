"""Compare all ways to propose rewards, each with the same learner and the same time, on rewards that people wrote.

    python benchmarks/control_proposals.py --on point-goals point-walls --seeds 0 1 2 --budget 60s

writes docs/results/control-proposals.json: return after adaptation, coverage, worst goal, minutes. Results that are there already are kept,
so that a long table can be made in pieces. All seeds share the held-out goals; everything else is drawn anew.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from umeta.benchmarks.goals import true_tasks
from umeta.control.learners.shipped import load_procedure
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import evaluate
from umeta.functional.statistics import interquartile_mean
from umeta.recipes.budget import seconds
from umeta.recipes.control.learn import ControlRequest, learn_control
from umeta.recipes.control.score import N_QUERY, episodes_of, measure_returns, returns_after

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "control-proposals.json"
PROPOSALS = ("uml-random", "uml-diayn", "uml-vic", "uml-valor", "uml-smm", "uml-dads", "uml-metra", "carml", "oracle-goals")


def one_run(benchmark: str, recipe: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Learn once, and score on held-out goals and on a grid of goals."""
    truth = true_tasks(benchmark)
    budget_s = None if options.steps else seconds(options.budget)
    request = ControlRequest.of(f"env:{truth.process}", recipe, budget_s=budget_s, steps=options.steps, seed=seed)
    began, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        manifest = learn_control(request, Path(folder) / "run")
        procedure = load_procedure(Path(folder) / "run")
    minutes, cpu_s = (time.monotonic() - began) / 60, time.process_time() - cpu
    held_out = Rng.from_seed(0).fork(truth.name)
    values = evaluate(procedure, truth.tasks, measure_returns(N_QUERY), n_tasks=options.tasks, rng=held_out).values
    worst = returns_after(procedure, truth.spread, 5, 5, held_out.fork("spread")).min()
    return {
        "benchmark": truth.name,
        "recipe": recipe,
        "seed": seed,
        "episodes": episodes_of(procedure),
        "mean_return": [round(float(value), 2) for value in values.mean(1)],
        "iqm_after_60": round(float(interquartile_mean(values[min(3, len(values) - 1)])), 2),
        "worst_goal_return": round(float(worst), 2),
        **{name: round(value, 3) for name, value in manifest["skills"].items() if value is not None},
        "steps": manifest["steps"],
        "minutes": round(minutes, 2),
        "cpu_s": round(cpu_s, 1),
    }


def main() -> None:
    """Run what is missing and write the table after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", nargs="+", default=["point-goals", "point-walls"])
    parser.add_argument("--recipes", nargs="+", default=list(PROPOSALS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--steps", type=int, help="steps of each stage, instead of a time")
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    length = f"{options.steps} steps a stage" if options.steps else options.budget
    runs = json.loads(options.out.read_text())["runs"] if options.out.exists() else []
    done = {(run["benchmark"], run["recipe"], run["seed"], run["length"]) for run in runs}
    for seed in options.seeds:
        for benchmark in options.on:
            for recipe in options.recipes:
                if (true_tasks(benchmark).name, recipe, seed, length) in done:
                    continue
                command = "python benchmarks/control_proposals.py " + " ".join(sys.argv[1:])
                runs.append({**one_run(benchmark, recipe, seed, options), "length": length, "command": command})
                print(runs[-1], flush=True)
                options.out.write_text(json.dumps({"summary": summary(runs), "runs": runs}, indent=1) + "\n")


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return means over seeds."""
    rows = []
    for key in sorted({(run["benchmark"], run["length"], run["recipe"]) for run in runs}):
        own = [run for run in runs if (run["benchmark"], run["length"], run["recipe"]) == key]
        covered = [run["coverage"] for run in own if "coverage" in run]
        rows.append(
            {
                "benchmark": key[0],
                "length": key[1],
                "recipe": key[2],
                "seeds": len(own),
                "mean_return": np.mean([run["mean_return"] for run in own], 0).round(2).tolist(),
                "worst_goal_return": round(float(np.mean([run["worst_goal_return"] for run in own])), 2),
                "coverage": round(float(np.mean(covered)), 3) if covered else None,
                "minutes": round(float(np.mean([run["minutes"] for run in own])), 2),
            }
        )
    return rows


if __name__ == "__main__":
    main()
