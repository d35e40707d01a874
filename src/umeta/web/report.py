"""Knows what the reports of all runs have in common, and writes one as an HTML file that asks nothing of a network."""

import csv
import os
from collections import defaultdict
from pathlib import Path

import jinja2
from markupsafe import Markup

from umeta.artifacts.artifact import read_json
from umeta.artifacts.run import METRICS_HEADER
from umeta.core.errors import InputError, UmetaError
from umeta.recipes.papers import BIBTEX
from umeta.recipes.route import is_control_run
from umeta.web.chart import Line, curves
from umeta.web.commands import commands
from umeta.web.control_report import control_parts
from umeta.web.image_report import image_parts


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
    kind, parts_of = ("control", control_parts) if is_control_run(run) else ("images", image_parts)
    parts = parts_of(run)
    manifest, config = read_json(run / "manifest.json"), read_json(run / "config.json")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("umeta.web", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"report_{kind}.html").render(
        name=run.resolve().name,
        manifest=manifest,
        summary=config["recipe"].get("summary", ""),
        charts=metric_charts(run / "metrics.csv"),
        commands=commands(run, config, parts["reports"]),
        papers=[BIBTEX[key] for key in manifest["papers"] if key in BIBTEX],
        **parts,
    )


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
