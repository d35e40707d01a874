"""Knows what a person wants to see of a run, and writes it as one HTML file that asks nothing of a network."""

import base64
import csv
import io
import os
import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from umeta.artifacts.artifact import read_artifact, read_json
from umeta.artifacts.run import METRICS_HEADER
from umeta.core.errors import ArtifactError, InputError, UmetaError
from umeta.core.rng import Rng
from umeta.evaluation.report import Report, Row
from umeta.images.cache import ImageCache
from umeta.images.embed.encoder import embed_all, quick
from umeta.images.partition.neighbors import nearest
from umeta.images.procedure import ImageLearningProcedure
from umeta.images.sheet import draw_block
from umeta.recipes.papers import BIBTEX
from umeta.recipes.recipe import RECIPES
from umeta.web.chart import Line, curves, intervals

SHOWN_COLUMNS, SHOWN_ROWS = 20, 4
SHOWN_CLUSTERS, SHOWN_MEMBERS = 12, 6
SHOWN_NEIGHBORS = 6
LOOKED_AMONG = 5000
SHOWN_SIDE = 56
FLAGS = {
    "embedding": "--embedding",
    "n_clusters": "--clusters",
    "n_partitions": "--partitions",
    "augment": "--augment",
    "n_splits": "--splits",
    "image_size": "--image-size",
    "norm": "--norm",
}


@dataclass(frozen=True)
class Sheet:
    """A picture in the report.

    Attributes:
        uri: The PNG itself, as a `data:` address.
        width: In pixels.
        height: In pixels.
        told: What somebody who does not see it is told.
    """

    uri: str
    width: int
    height: int
    told: str


def write_report(run: Path, out: Path) -> None:
    """Write the report of a finished run.

    Args:
        run: The run folder; nothing in it is changed unless `out` lies there.
        out: The HTML file; replaced in one step if it is there.

    Raises:
        InputError: `run` is no folder, or `out` is one.
        ArtifactError: The run has not finished, or an artifact of it was altered.
    """
    if not run.is_dir():
        raise InputError(f"{run} is not a run folder")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: give a file in a folder that exists")
    page = render(run)
    temporary = out.with_name(f"{out.name}.tmp-{os.getpid()}")
    try:
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UmetaError(f"could not write {out}: {error.strerror or error}; free some space or choose another --out") from error


def render(run: Path) -> str:
    """Return the report of a finished run as HTML."""
    procedure = ImageLearningProcedure.load(run)
    manifest, config = read_json(run / "manifest.json"), read_json(run / "config.json")
    pool = ImageCache.open(run / "cache").images
    reports = [Report.from_json(read_json(path)) for path in sorted((run / "evaluation").glob("*.json"))]
    papers = [BIBTEX[key] for key in manifest["papers"] if key in BIBTEX]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resources.files("umeta.web").joinpath("report.html").read_text(encoding="utf-8"))
    return template.render(
        name=run.resolve().name,
        manifest=manifest,
        plan=manifest["plan"],
        summary=config["recipe"].get("summary", ""),
        n_labels=sum(manifest["labels_seen"].values()),
        best=max((row for report in reports for row in report.rows[:1]), key=lambda row: row.accuracy, default=None),
        pool=_pool_sheet(pool),
        tasks=_tasks_sheet(run),
        clusters=_cluster_sheet(run, pool),
        neighbors=_neighbor_sheet(procedure, pool),
        charts=metric_charts(run / "metrics.csv"),
        results=[_result(report) for report in reports],
        commands=commands(run, config, reports),
        papers=papers,
    )


def commands(run: Path, config: dict[str, Any], reports: list[Report]) -> list[str]:
    """Return the commands that lead to a run and its results, ready for a shell."""
    recipe = config["recipe"]
    made = RECIPES.get(recipe["name"])
    usual = asdict(made()) if made else {}
    words = ["umeta", "learn", config["source"], "--out", str(run), "--recipe", recipe["name"]]
    words += ["--protocol", config["protocol"]] if config["protocol"] else []
    words += ["--budget", f"{config['budget_s']:g}s"] if config["budget_s"] else ["--steps", str(config["steps"])]
    words += ["--seed", str(config["seed"])]
    for name, flag in FLAGS.items():
        if recipe.get(name) is not None and recipe.get(name) != usual.get(name):
            words += [flag, str(recipe[name])]
    words += ["--first-order"] if recipe.get("first_order") and not usual.get("first_order") else []
    lines = [words]
    for report in reports:
        ways, shots, queries = (sorted({getattr(row, key) for row in report.rows}) for key in ("n_way", "k_shot", "n_query"))
        line = ["umeta", "evaluate", str(run), "--on", report.benchmark, "--protocol", report.protocol]
        line += ["--ways", *map(str, ways), "--shots", *map(str, shots), "--queries", str(queries[0])]
        line += ["--tasks", str(max(row.n_tasks for row in report.rows)), "--task-seed", str(report.task_seed)]
        lines.append(line + ["--baselines"] * (len({row.method for row in report.rows}) > 1))
    return [shlex.join(line) for line in lines]


def metric_charts(path: Path) -> list[tuple[str, Markup]]:
    """Return a title and a chart for each curve of `metrics.csv`, rounds of practice one after another in the same chart."""
    if not path.is_file():
        return []
    stages: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            if len(row) == len(METRICS_HEADER) and row[0] != METRICS_HEADER[0]:
                stages[row[0]][row[3]].append((float(row[2]) / 60, float(row[4])))
    charts: dict[str, list[Line]] = defaultdict(list)
    seams: dict[str, list[float]] = defaultdict(list)
    begin = 0.0
    for stage, metrics in stages.items():
        practice = stage == "meta_train" or stage.startswith("round")
        for name, points in metrics.items():
            title = name if practice else f"{name} ({stage})"
            seams[title] += [begin] if charts[title] else []
            charts[title].append(Line(stage, [(begin + minutes, value) for minutes, value in points]))
        begin += max(minutes for points in metrics.values() for minutes, _ in points)
    return [(title, curves(f"{title} over minutes", lines, x_label="minutes", seams=seams[title])) for title, lines in charts.items()]


def _result(report: Report) -> dict[str, Any]:
    kinds = sorted({(row.n_way, row.k_shot) for row in report.rows})
    methods = list(dict.fromkeys(row.method for row in report.rows))
    cells = {(row.method, row.n_way, row.k_shot): row for row in report.rows}
    eces = {method: _shown_ece([row for row in report.rows if row.method == method]) for method in methods}
    charts = []
    for kind in kinds:
        rows = [cells[method, *kind] for method in methods if (method, *kind) in cells]
        title = f"{kind[0]}-way {kind[1]}-shot"
        charts.append((title, intervals(f"accuracy in percent, {title}", [(r.method, 100 * r.accuracy, 100 * r.ci95) for r in rows])))
    return {
        "report": report,
        "kinds": kinds,
        "lines": [(method, [cells.get((method, *kind)) for kind in kinds]) for method in methods],
        "queries": "/".join(map(str, sorted({row.n_query for row in report.rows}))),
        "eces": {method: told for method, told in eces.items() if told},
        "charts": charts if len(methods) > 1 else [],
    }


def _shown_ece(rows: Sequence[Row]) -> str:
    errors = [error for row in rows if (error := getattr(row, "ece", None)) is not None]
    return " / ".join(f"{100 * error:.1f}" for error in errors)


def _pool_sheet(pool: NDArray[np.uint8]) -> Sheet:
    n_columns = min(SHOWN_COLUMNS, len(pool))
    n_rows = max(min(SHOWN_ROWS, len(pool) // n_columns), 1)
    chosen = _some(len(pool), n_columns * n_rows).reshape(n_columns, n_rows)
    return _sheet(draw_block(pool[chosen], 0), f"{chosen.size} of {len(pool)} images, drawn at random", pool.shape[-1])


def _cluster_sheet(run: Path, pool: NDArray[np.uint8]) -> Sheet | None:
    if not (run / "partition").is_dir():
        return None
    labels = read_artifact(run / "partition", "partition")[0]["labels"][0].numpy()
    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    names = names[counts >= SHOWN_MEMBERS]
    if len(names) == 0:
        return None
    chosen = names[_some(len(names), SHOWN_CLUSTERS)]
    members = np.stack([np.flatnonzero(labels == name)[:SHOWN_MEMBERS] for name in chosen])
    return _sheet(draw_block(pool[members], 0), f"{len(chosen)} clusters of the first partition, one per column", pool.shape[-1])


def _neighbor_sheet(procedure: ImageLearningProcedure, pool: NDArray[np.uint8]) -> Sheet:
    among = np.sort(_some(len(pool), LOOKED_AMONG))
    near = nearest(embed_all(quick(procedure.procedure.encoder), pool[among]), SHOWN_NEIGHBORS)
    asked = _some(len(among), SHOWN_CLUSTERS)
    images = pool[among[np.concatenate([asked[:, None], near[asked]], 1)]]
    told = f"{len(asked)} images with a blue edge; below each its nearest among {len(among)}, the nearest first"
    return _sheet(draw_block(images, 1), told, pool.shape[-1])


def _tasks_sheet(run: Path) -> Sheet | None:
    try:
        with Image.open(run / "tasks.png", formats=("PNG",)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ArtifactError(f"{run / 'tasks.png'} is not a readable picture; it was altered") from error
    return _sheet(pixels, "proposed tasks: one column per class, its examples with a blue edge, its queries below", SHOWN_SIDE)


def _some(n: int, wanted: int) -> NDArray[np.int64]:
    return Rng.from_seed(0).fork("report").numpy().permutation(n)[:wanted]


def _sheet(pixels: NDArray[np.uint8], told: str, side: int) -> Sheet:
    scale = max(SHOWN_SIDE // side, 1)
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Sheet(uri, image.width * scale, image.height * scale, told)
