"""Knows the commands that lead to a run and its results."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from umeta.evaluation.report import Report
from umeta.evaluation.returns import ReturnReport
from umeta.recipes.control.recipe import CONTROL_RECIPES
from umeta.recipes.named import RECIPES

FLAGS = {
    "embedding": "--embedding",
    "n_clusters": "--clusters",
    "n_partitions": "--partitions",
    "practice_on": "--on",
    "start": "--start",
    "lr": "--lr",
    "net": "--net",
    "width": "--width",
    "normalization": "--normalization",
    "partition": "--partition",
    "margin": "--margin",
    "labeled_share": "--labeled-share",
    "encoder_labels": "--encoder-labels",
    "augment": "--augment",
    "n_splits": "--splits",
    "image_size": "--image-size",
    "norm": "--norm",
    "outer": "--outer",
}


def commands(run: Path, config: dict[str, Any], reports: Sequence[Report | ReturnReport]) -> list[str]:
    """Return the commands that lead to a run and its results, ready for a shell."""
    recipe = config["recipe"]
    of_images, of_control = RECIPES.get(recipe["name"]), CONTROL_RECIPES.get(recipe["name"])
    made = of_images().settled() if of_images else of_control() if of_control else None
    usual = asdict(made) if made else {}
    words = ["umeta", "learn", config["source"], "--out", str(run), "--recipe", recipe["name"]]
    words += ["--protocol", config["protocol"]] if config.get("protocol") else []
    words += ["--budget", f"{config['budget_s']:g}s"] if config["budget_s"] else ["--steps", str(config["steps"])]
    words += ["--seed", str(config["seed"])]
    for name, flag in FLAGS.items():
        if recipe.get(name) is not None and recipe.get(name) != usual.get(name):
            words += [flag, str(recipe[name])]
    words += ["--first-order"] if _first_order(recipe) and not _first_order(usual) else []
    lines = [words, *(_evaluate(run, report) for report in reports)]
    return [shlex.join(line) for line in lines]


def _first_order(recipe: dict[str, Any]) -> bool:
    return bool(recipe.get("first_order") or recipe.get("inner", {}).get("first_order"))


def _evaluate(run: Path, report: Report | ReturnReport) -> list[str]:
    line = ["umeta", "evaluate", str(run), "--on", report.benchmark]
    if isinstance(report, Report):
        ways, shots, queries = (sorted({getattr(row, key) for row in report.rows}) for key in ("n_way", "k_shot", "n_query"))
        line += ["--protocol", report.protocol]
        line += ["--ways", *map(str, ways), "--shots", *map(str, shots), "--queries", str(queries[0])]
    line += ["--tasks", str(max(row.n_tasks for row in report.rows)), "--task-seed", str(report.task_seed)]
    return line + ["--baselines"] * (len({row.method for row in report.rows}) > 1)
