"""Knows how an inspection of a source, or of a run's partitions, reads on a screen."""

from pathlib import Path
from typing import Any

from umeta.artifacts.artifact import read_json
from umeta.core.errors import InputError
from umeta.images.partition.quality import PARTITION_QUALITY

SHOWN_BAD = 10


def inspection_text(source: str, summary: dict[str, Any]) -> str:
    """Return what `inspect_source` found as text for a person."""
    modes, sizes = summary["modes"], summary["sizes"]
    lines = [
        f"{source}: {summary['n_files']} images, {summary['n_readable']} readable, {summary['n_bad']} bad",
        f"  {summary['n_distinct']} distinct, {summary['n_duplicates']} exact duplicates",
        f"  {modes['gray']} gray, {modes['color']} color",
    ]
    if sizes:
        common = ", ".join(f"{entry['width']}x{entry['height']} ({entry['n']})" for entry in sizes["most_common"])
        lines.append(f"  most common sizes: {common}")
    if summary["n_other"]:
        lines.append(f"  {summary['n_other']} other files, ignored")
    lines += [f"  bad: {entry['name']}: {entry['reason']}" for entry in summary["bad"][:SHOWN_BAD]]
    if summary["n_bad"] > SHOWN_BAD:
        lines.append(f"  and {summary['n_bad'] - SHOWN_BAD} more; --json lists all")
    return "\n".join(lines)


def read_partition_quality(run: Path) -> dict[str, Any]:
    """Return what a run wrote of its partitions; raises `InputError` if it has none."""
    path = run / PARTITION_QUALITY
    if not path.is_file():
        picture = next((run / name for name in ("tasks.png", "skills.png") if (run / name).is_file()), None)
        told = f"; see {picture}" if picture else ""
        raise InputError(f"{run} is a run without clusters, so there is no {PARTITION_QUALITY} to show{told}")
    return read_json(path)


def partition_text(run: str, quality: dict[str, Any]) -> str:
    """Return the quality of partitions as text for a person; no label was asked."""

    def told(value: float | None) -> str:
        return "not known" if value is None else f"{value:.3f}"

    usable = quality["n_usable"]
    lines = [
        f"{run}: {quality['n_partitions']} partitions of {quality['n_images']} images by {quality['partition']}, "
        f"{quality['n_clusters']:g} clusters each",
        f"  clusters of {quality['min_size']} images and more: {usable['mean']:g} on average, {usable['least']} at least; "
        f"they hold {quality['covered']:.1%} of the images",
        f"  silhouette: {told(quality['silhouette'])} (from -1 to 1; above 0, images are nearer to their own cluster than to the next)",
        f"  stability: {told(quality['stability'])} (agreement of partitions: 1 the same, 0 as by chance)",
    ]
    if quality["sizes"]:
        least, low, middle, high, most = quality["sizes"]
        lines.insert(1, f"  images in a cluster: {least} to {most}, half of the clusters {low} to {high}, median {middle}")
    return "\n".join(lines)
