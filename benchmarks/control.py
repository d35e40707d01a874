"""Compare on rewards that people wrote: oracle, UML-DIAYN, UML-RANDOM, from scratch with its rate tuned; several seeds.

    python benchmarks/control.py --on point-goals --seeds 0 1 2 --skill-steps 80 --meta-steps 80

writes docs/results/control-point-goals.json after each arm; seeds that are in it, made with the same steps, are kept. All seeds share the
held-out goals; everything else is drawn anew.
"""

import argparse
import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from umeta.benchmarks.goals import TrueTasks, true_tasks
from umeta.control.coverage import coverage
from umeta.control.learners.gradient import GradientProcedure
from umeta.control.learners.inner import InnerLoop
from umeta.control.learners.procedure import ControlProcedure
from umeta.core.loop import Pace, meta_train, train
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import Scores, evaluate
from umeta.evaluation.returns import curve_of
from umeta.recipes.control.learn import discovery_of, learner_of
from umeta.recipes.control.recipe import CONTROL_RECIPES
from umeta.recipes.control.score import BASELINE_STEPS, N_QUERY, TUNED_LRS, episodes_of, measure_returns, returns_after, tuned

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SCRATCH = "from scratch"


def scratch(truth: TrueTasks, rng: Rng, held_out: Rng) -> tuple[ControlProcedure, dict[str, float]]:
    """Return training from scratch with the rate that suits validation tasks best."""
    process = truth.make_process()

    def make(lr: float) -> ControlProcedure:
        return GradientProcedure.from_scratch(process, InnerLoop(lr, BASELINE_STEPS), rng)

    return tuned(make, truth, held_out, TUNED_LRS)


def cpu_s() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def learned(name: str, truth: TrueTasks, options: argparse.Namespace, rng: Rng) -> tuple[ControlProcedure, dict[str, float | None]]:
    """Learn as a recipe does, by steps and without a folder."""
    recipe, process = CONTROL_RECIPES[name](), truth.make_process()
    facts: dict[str, float | None] = {}
    tasks = truth.tasks
    if recipe.objective is not None:
        discovery = discovery_of(recipe, process)
        state = discovery.init(rng.fork("skills"))
        if discovery.objective.trained:
            state = train(state, lambda now, i: discovery.step(now, rng.fork("skill", i)), Pace(n_steps=options.skill_steps))
        skills = discovery.export(state)
        skill = skills.objective.draw(skills.model, recipe.n_skill, rng)
        episodes = skills.run(skill, N_QUERY, rng.fork("measure"))
        facts = {**skills.objective.measure(skills.model, process, episodes, skill), "coverage": coverage(process, episodes)}
        tasks = skills.tasks
    pace = Pace(n_steps=options.meta_steps)
    return meta_train(learner_of(recipe, process), tasks, meta_batch_size=recipe.meta_batch_size, pace=pace, rng=rng.fork("meta")), facts


def main() -> None:
    """Run all arms and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="point-goals")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--recipes", nargs="+", default=["oracle-goals", "uml-diayn", "uml-random"])
    parser.add_argument("--skill-steps", type=int, default=80)
    parser.add_argument("--meta-steps", type=int, default=80)
    parser.add_argument("--tasks", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    truth = true_tasks(options.on)
    held_out = Rng.from_seed(0).fork(truth.name)
    found = kept(options)
    for seed in options.seeds:
        rng = Rng.from_seed(seed)
        for name in [*options.recipes, SCRATCH]:
            if any(one["seed"] == seed for one in found.get(name, {"seeds": ()})["seeds"]):
                continue
            began = cpu_s()
            if name == SCRATCH:
                procedure, facts = scratch(truth, rng.fork("scratch"), held_out)
            else:
                procedure, facts = learned(name, truth, options, rng.fork(name))
            learn_s = cpu_s() - began
            scores = evaluate(procedure, truth.tasks, measure_returns(N_QUERY), n_tasks=options.tasks, rng=held_out)
            everywhere = returns_after(procedure, truth.spread, 5, 5, held_out.fork("spread"))
            one = {"seed": seed, "cpu_s": round(learn_s, 1), "worst_goal_return": round(float(everywhere.min()), 2), **facts}
            one["mean_return"] = [round(float(value), 2) for value in scores.values.mean(1)]
            print(f"{time.strftime('%H:%M:%S')} seed {seed} {name}: {one}", flush=True)
            one["returns"] = np.round(scores.values, 2).tolist()
            found.setdefault(name, {"episodes": episodes_of(procedure), "seeds": []})["seeds"].append(one)
            write(found, options)


def path_of(options: argparse.Namespace) -> Path:
    return RESULTS / f"control-{options.on}.json"


def kept(options: argparse.Namespace) -> dict[str, dict]:
    """Return the arms that are there already, made with the same steps and tasks."""
    content = json.loads(path_of(options).read_text()) if path_of(options).is_file() else {"settings": {}}
    same = all(content["settings"].get(key) == getattr(options, key) for key in ("skill_steps", "meta_steps", "tasks"))
    same = same and all("returns" in one for arm in content["methods"] for one in arm["seeds"])
    return {
        arm["method"]: {"episodes": [point["episodes"] for point in arm["curve"]], "seeds": arm["seeds"]}
        for arm in (content["methods"] if same else ())
    }


def write(found: dict[str, dict], options: argparse.Namespace) -> None:
    """Write what there is so far; returns are over seeds and tasks together."""
    rows = []
    for name, arm in found.items():
        together = Scores(np.concatenate([np.asarray(one["returns"]) for one in arm["seeds"]], axis=1))
        curve = curve_of(together, arm["episodes"], Rng.from_seed(0))
        rows.append({"method": name, "curve": [asdict(point) for point in curve], "seeds": arm["seeds"]})
    content = {
        "benchmark": true_tasks(options.on).name,
        "command": "python benchmarks/control.py " + " ".join(sys.argv[1:]),
        "settings": vars(options),
        "methods": rows,
    }
    path_of(options).write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
