"""Write docs/results/README.md: one table per benchmark and protocol from the result files beside it."""

import json
import math
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import spearmanr, t

from umeta.benchmarks.benchmark import get_benchmark
from umeta.paper.entry import SHEETS, entries_of
from umeta.paper.published import published, sources

RESULTS = Path(__file__).parent / "results"


def published_lines(benchmark: str, protocol: str, n_query: int, kinds: list[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """Return what was published under a section's protocol, for the benchmark's own number of queries: rows, and where they were read."""
    if n_query != get_benchmark(benchmark).n_query(protocol) or benchmark not in SHEETS:
        return [], []
    known = published(benchmark)
    entries = [entry for entry in entries_of(benchmark) if entry.name in known and "plain" not in entry.name]
    found = [(known[one.name].method or one.title, known[one.name]) for one in entries if known[one.name].protocol == protocol]
    names = [f"{n}w{k}s" for n, k in kinds]
    rows = []
    for title, row in found:
        numbers = (f"{row.accuracy[name]:.2f}" if name in row.accuracy else "-" for name in names)
        rows.append("| " + " | ".join([f"published: {title}", *numbers, "", "", "", "", ""]) + " |")
    told = {key: source for key, source in sources().items() if key in {row.source for _, row in found}}
    return rows, [f"Published: {one.citation}; {'; '.join(filter(None, (one.tasks, one.note)))}." for one in told.values()]


def cell(values: list[tuple[float, float]]) -> str:
    """One seed: its interval over tasks. Several: the mean with Student's interval over seeds."""
    if len(values) == 1:
        return f"{100 * values[0][0]:.2f} ±{100 * values[0][1]:.2f}"
    accuracies = [100 * value for value, _ in values]
    half = t.ppf(0.975, len(accuracies) - 1) * stdev(accuracies) / math.sqrt(len(accuracies))
    return f"{mean(accuracies):.2f} ±{half:.2f} (seeds)"


def order_of_progress(contents: list[dict]) -> list[str]:
    """Return a section that says how well the label-free measure of progress orders methods on one pool by held-out accuracy."""
    found: dict = defaultdict(lambda: defaultdict(list))
    for content in contents:
        rows = [row for row in content.get("results", ()) if not row["transductive"] and (row["n_way"], row["k_shot"]) == (5, 1)]
        own = [row for row in rows if row["method"].startswith(content.get("learned", {}).get("recipe", "\0"))]
        if own and "agreement" in content["learned"]:
            pool = content["benchmark"], content["protocol"], own[0]["n_query"]
            found[pool][own[0]["method"]].append((content["learned"]["agreement"], own[0]["accuracy"]))
    lines = [
        "## Progress without a label",
        "",
        "How well the agreement of views on neighbors orders methods on one pool by their 5-way 1-shot accuracy, means over seeds.",
        "",
    ]
    for (benchmark, protocol, n_query), methods in sorted(found.items()):
        if len(methods) < 4:
            continue
        means = {method: tuple(map(mean, zip(*runs, strict=True))) for method, runs in methods.items()}
        agreement, accuracy = zip(*means.values(), strict=True)
        rank = spearmanr(agreement, accuracy).statistic
        lines += [f"{benchmark}, protocol `{protocol}`, {n_query} queries, {len(methods)} methods: rank correlation {rank:.2f}.", ""]
        lines += ["| method | agreement | 5w1s | seeds |", "|---|---|---|---|"]
        ordered = sorted(means.items(), key=lambda one: one[1])
        lines += [f"| {method} | {100 * one:.1f} | {100 * other:.2f} | {len(methods[method])} |" for method, (one, other) in ordered]
        lines.append("")
    return lines


def ablation() -> list[str]:
    """Return a section on what each ingredient of the default recipe is worth."""
    path = RESULTS / "ablation.json"
    if not path.is_file():
        return []
    content = json.loads(path.read_text())
    grouped: dict = defaultdict(list)
    for row in content["rows"]:
        grouped[row["name"]].append(row)
    kinds = ("5w1s", "5w5s", "20w1s", "20w5s")
    lines = ["## The default recipe, each ingredient taken out in turn", ""]
    lines += [f"Omniglot `cactus`, the 100 validation characters, 1000 tasks, 15 queries. `{content['command']}`, one thread each.", ""]
    lines += ["| recipe | " + " | ".join(kinds) + " | agreement | steps | seeds |", "|---" * (len(kinds) + 4) + "|"]
    for name, rows in grouped.items():
        cells = [cell([(row[kind]["accuracy"], row[kind]["ci95"]) for row in rows]) for kind in kinds]
        steps = "/".join(str(sum(row["steps"].values())) for row in rows)
        agreement = "/".join(f"{100 * row['agreement']:.1f}" for row in rows)
        lines.append("| " + " | ".join([name, *cells, agreement, steps, str(len(rows))]) + " |")
    return [*lines, ""]


def pseudo_labels() -> list[str]:
    """Return a section on how well ways to group an embedding find images of one class."""
    path = RESULTS / "pseudo-labels.json"
    if not path.is_file():
        return []
    content = json.loads(path.read_text())
    head = ["way to find images of one class", "found per image", "right", "of all right ones", "stability"]
    lines = ["## Which images may stand in for each other", ""]
    lines += [f"Pairs in the pool of Omniglot `cactus`, counted by labels that no learner sees. `{content['command']}`", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in content["rows"]:
        shares = [f"{100 * row[key]:.1f}" for key in ("precision", "recall")]
        lines.append(
            "| "
            + " | ".join([row["way"], f"{row['per_image']:.1f}", *shares, f"{row['stability']:.2f}" if "stability" in row else ""])
            + " |"
        )
    return [*lines, ""]


def control() -> list[str]:
    """Return one section for each benchmark of control: returns over the episodes of adaptation, every arm beside the others."""
    lines: list[str] = []
    for path in sorted(RESULTS.glob("control-*.json")):
        content = json.loads(path.read_text())
        if "methods" not in content:
            continue
        shown = [point["episodes"] for point in content["methods"][0]["curve"]]
        lines += [f"## {content['benchmark']}, return after episodes of adaptation", ""]
        lines += [
            f"Mean over goals and seeds; 0 is best. The last columns: interquartile mean after {shown[3]} episodes with its bootstrap "
            f"interval, and the worst of all goals after {shown[-1]}. `{content['command']}`, one thread.",
            "",
        ]
        head = ["method", *map(str, shown), "IQM", "worst goal", "seeds", "CPU seconds to learn"]
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for row in content["methods"]:
            means = {point["episodes"]: f"{point['mean']:.1f}" for point in row["curve"]}
            at = next(point for point in row["curve"] if point["episodes"] == shown[3])
            worst = mean(seed["worst_goal_return"] for seed in row["seeds"])
            tail = [f"{at['iqm']:.1f} ({at['iqm_low']:.1f} to {at['iqm_high']:.1f})", f"{worst:.1f}", str(len(row["seeds"]))]
            took = "/".join(f"{seed['cpu_s']:.0f}" for seed in row["seeds"])
            lines.append("| " + " | ".join([row["method"], *(means.get(n, "-") for n in shown), *tail, took]) + " |")
        lines.append("")
    return lines


def main() -> None:
    """Write the page."""
    contents = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    grouped: dict = defaultdict(lambda: defaultdict(list))
    for content in contents:
        for row in content.get("results", ()):
            key = (row["method"], row["transductive"], row["labels_seen"])
            grouped[content["benchmark"], content["protocol"], row["n_query"]][key].append((content, row))
    lines = ["# Results", "", "Made by `make docs` from the files beside it; each file names the commands that made it.", ""]
    lines += [f"The papers' tables, row by row: [{path.stem}]({path.name})." for path in sorted(RESULTS.glob("paper-*.md"))] + [""]
    for (benchmark, protocol, n_query), methods in sorted(grouped.items()):
        kinds = sorted({(row["n_way"], row["k_shot"]) for entries in methods.values() for _, row in entries})
        lines += [
            f"## {benchmark}, protocol `{protocol}`, {n_query} queries a class",
            "",
            "Accuracy in %, ± 95 % interval over tasks, or over seeds where it says so.",
            "",
        ]
        head = ["method", *(f"{n}w{k}s" for n, k in kinds), "labels seen", "tasks", "seeds", "transductive", "minutes x threads"]
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        for (method, transductive, labels), entries in methods.items():
            cells = [
                cell(found) if (found := [(r["accuracy"], r["ci95"]) for _, r in entries if (r["n_way"], r["k_shot"]) == kind]) else "-"
                for kind in kinds
            ]
            seeds = sorted({content["seed"] for content, _ in entries})
            took = [content["learned"] for content, _ in entries]
            minutes = sorted({f"{(one['elapsed_s'] + one['embedding_s']) / 60:.0f} x {one['threads']}" for one in took})
            n_tasks = sorted({row["n_tasks"] for _, row in entries})
            tail = [str(labels), "/".join(map(str, n_tasks)), str(len(seeds)), "yes" if transductive else "no", "/".join(minutes)]
            lines.append("| " + " | ".join([method, *cells, *tail]) + " |")
        rows, told = published_lines(benchmark, protocol, n_query, kinds)
        lines += [*rows, "", *([*told, ""] if told else [])]
    lines += [*control(), *ablation(), *pseudo_labels(), *order_of_progress(contents)]
    (RESULTS / "README.md").write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
