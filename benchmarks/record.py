"""Copy the results of runs into docs/results, each with the commands that made it.

usage: python benchmarks/record.py NAME=RUN [NAME=RUN ...]
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from umeta.recipes.named import get_recipe
from umeta.web.commands import FLAGS

# What a run takes from an earlier one is a command of its own.
SWITCHES = {key: flag for key, flag in FLAGS.items() if key != "embedding"} | {"first_order": "--first-order"}
RESULTS = Path(__file__).parent.parent / "docs" / "results"


def learn_command(config: dict, embedding: str) -> str:
    recipe = config["recipe"]
    protocol = f" --protocol {config['protocol']}" if config["protocol"] else ""
    named = f"--recipe {recipe['name']}{protocol} {length(config)} --seed {config['seed']}{changes(recipe)}{embedding}"
    return f"umeta learn {config['source']} {named} --out RUN"


def length(config: dict) -> str:
    """Return the switch that says for how long a run learned."""
    return f"--budget {config['budget_s'] / 60:g}m" if config["budget_s"] else f"--steps {config['steps']}"


def changes(recipe: dict) -> str:
    """Return the switches with which a recipe departs from the one that has its name."""
    named = get_recipe(recipe["name"])
    usual = asdict(named) | {"augment": replace(named, practice_on=recipe.get("practice_on", named.practice_on)).settled().augment}
    found = {flag: recipe[key] for key, flag in SWITCHES.items() if key in recipe and recipe[key] != usual[key]}
    return "".join(f" {flag}" if value is True else f" {flag} {value}" for flag, value in found.items())


def evaluate_commands(report: dict) -> list[str]:
    """Return the commands behind the rows of a report, one for each number of queries."""
    commands = []
    for n_query in sorted({row["n_query"] for row in report["results"]}):
        rows = [row for row in report["results"] if row["n_query"] == n_query]
        ways = " ".join(str(n) for n in sorted({row["n_way"] for row in rows}))
        shots = " ".join(str(n) for n in sorted({row["k_shot"] for row in rows}))
        methods = {row["method"] for row in rows}
        heads = sorted(method.partition(" (")[2].rstrip(")") for method in methods if " (" in method)
        baselines = " --baselines" if len(methods) > len(heads) + 1 else ""
        baselines += f" --head {' '.join(heads)}" if heads else ""
        size = f"--ways {ways} --shots {shots} --queries {n_query} --tasks {rows[0]['n_tasks']}"
        commands.append(f"umeta evaluate RUN --on {report['benchmark']} --protocol {report['protocol']} {size}{baselines}")
    return commands


def main() -> None:
    for argument in sys.argv[1:]:
        name, _, run = argument.partition("=")
        config = json.loads((Path(run) / "config.json").read_text())
        manifest = json.loads((Path(run) / "manifest.json").read_text())
        learned = {
            key: manifest[key] for key in ("elapsed_s", "steps", "n_partitions", "agreement", "plan", "threads", "versions", "machine")
        }
        learned["recipe"] = manifest["recipe"]
        before, taken, embedding_s, learned_by = [], "", 0.0, ""
        source = Path(config["recipe"]["embedding"])
        if (source / "config.json").is_file():
            earlier = json.loads((source / "config.json").read_text())
            before = [learn_command(earlier, "").replace("--out RUN", "--out EMBEDDED")]
            progress = json.loads((source / "progress.json").read_text())
            embedding_s = progress.get("embedding_s", progress["elapsed_s"])
            taken = " --embedding EMBEDDED"
            if not (source / "embedding").is_dir():
                learned_by = earlier["recipe"]["name"]
        for path in sorted((Path(run) / "evaluation").glob("*.json")):
            report = json.loads(path.read_text())
            commands = evaluate_commands(report)
            for row in report["results"]:
                row.pop("per_task", None)
                if row["method"].partition(" (")[0] == config["recipe"]["name"]:
                    row["method"] += changes(config["recipe"])
                    row["method"] += f" --embedding RUN of {learned_by}" if learned_by else ""
                    row["method"] += f" {length(config)}"
                    row["method"] += f", learned on {config['source']}" if config["source"] != report["benchmark"] else ""
            content = {
                "commands": [*before, learn_command(config, taken), *commands],
                "learned": {**learned, "embedding_s": embedding_s},
                **report,
            }
            target = RESULTS / f"{path.stem}-{name}.json"
            target.write_text(json.dumps(content, indent=1) + "\n")
            print(target)


if __name__ == "__main__":
    main()
