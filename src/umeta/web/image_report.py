"""Knows what a person wants to see of a run that learned from images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umeta.artifacts.artifact import read_artifact, read_json
from umeta.core.rng import Rng
from umeta.evaluation.report import Report, Row
from umeta.images.cache import ImageCache
from umeta.images.embed.encoder import embed_all, quick
from umeta.images.partition.neighbors import nearest
from umeta.images.procedure import ImageLearningProcedure
from umeta.images.sheet import draw_block
from umeta.web.chart import intervals
from umeta.web.sheet import Sheet

SHOWN_COLUMNS, SHOWN_ROWS = 20, 4
SHOWN_CLUSTERS, SHOWN_MEMBERS = 12, 6
SHOWN_NEIGHBORS = 6
LOOKED_AMONG = 5000


def image_parts(run: Path) -> dict[str, Any]:
    """Return what `report_images.html` shows of a finished run."""
    procedure = ImageLearningProcedure.load(run)
    manifest, pool = read_json(run / "manifest.json"), ImageCache.open(run / "cache").images
    reports = [Report.from_json(read_json(path)) for path in sorted((run / "evaluation").glob("*.json"))]
    told = "proposed tasks: one column per class, its examples with a blue edge, its queries below"
    return {
        "plan": manifest["plan"],
        "n_labels": sum(manifest["labels_seen"].values()),
        "best": max((row for report in reports for row in report.rows[:1]), key=lambda row: row.accuracy, default=None),
        "pool": _pool_sheet(pool),
        "tasks": Sheet.read(run / "tasks.png", told),
        "clusters": _cluster_sheet(run, pool),
        "neighbors": _neighbor_sheet(procedure, pool),
        "results": [_result(report) for report in reports],
        "reports": reports,
    }


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
    return Sheet.of(draw_block(pool[chosen], 0), f"{chosen.size} of {len(pool)} images, drawn at random", pool.shape[-1])


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
    return Sheet.of(draw_block(pool[members], 0), f"{len(chosen)} clusters of the first partition, one per column", pool.shape[-1])


def _neighbor_sheet(procedure: ImageLearningProcedure, pool: NDArray[np.uint8]) -> Sheet:
    among = np.sort(_some(len(pool), LOOKED_AMONG))
    near = nearest(embed_all(quick(procedure.procedure.encoder), pool[among]), SHOWN_NEIGHBORS)
    asked = _some(len(among), SHOWN_CLUSTERS)
    images = pool[among[np.concatenate([asked[:, None], near[asked]], 1)]]
    told = f"{len(asked)} images with a blue edge; below each its nearest among {len(among)}, the nearest first"
    return Sheet.of(draw_block(images, 1), told, pool.shape[-1])


def _some(n: int, wanted: int) -> NDArray[np.int64]:
    return Rng.from_seed(0).fork("report").numpy().permutation(n)[:wanted]
