"""Knows how to say what a source of images holds without changing anything."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from umeta.core.hands import Threads
from umeta.images.pixels import BadImageError, Pixels, content_hash
from umeta.images.reading import read_all
from umeta.images.source import ImageSource

_MAX_LISTED = 20


def inspect_source(source: ImageSource, *, n_workers: int = 2) -> dict[str, Any]:
    """Say what a source holds, decoding every image once and changing nothing.

    Returns:
        A JSON-ready object: counts of files (`n_other` and `skipped_folders` were not looked at), every bad file with
        its reason, `modes`, `sizes` (None if nothing is readable), and duplicates by pixels: `n_duplicates` images
        repeat an earlier one, in `n_duplicate_groups` groups; the first 20 are listed, with up to 20 names each.
    """
    bad: list[dict[str, str]] = []
    modes = {"gray": 0, "color": 0}
    sizes: Counter[tuple[int, int]] = Counter()
    first: dict[bytes, int] = {}
    groups: dict[bytes, list[int]] = {}

    def look(pixels: Pixels) -> tuple[bytes, tuple[int, ...]]:
        return content_hash(pixels), pixels.shape

    for index, seen in read_all(source, range(len(source)), look, Threads(n_workers)):
        if isinstance(seen, BadImageError):
            bad.append({"name": source.item_name(index), "reason": str(seen)})
            continue
        digest, (height, width, *color) = seen
        modes["color" if color else "gray"] += 1
        sizes[height, width] += 1
        if first.setdefault(digest, index) != index:
            groups.setdefault(digest, [first[digest]]).append(index)
    listed = list(groups.values())[:_MAX_LISTED]
    return {
        "source": source.name,
        "n_files": len(source),
        "n_readable": sum(modes.values()),
        "n_bad": len(bad),
        "bad": bad,
        "n_other": getattr(source, "n_other", 0),
        "skipped_folders": list(getattr(source, "skipped_folders", ())),
        "modes": modes,
        "sizes": _summarize_sizes(sizes),
        "n_distinct": len(first),
        "n_duplicates": sum(modes.values()) - len(first),
        "n_duplicate_groups": len(groups),
        "duplicate_groups": [{"n": len(group), "names": [source.item_name(index) for index in group[:_MAX_LISTED]]} for group in listed],
    }


def _summarize_sizes(sizes: Counter[tuple[int, int]]) -> dict[str, Any] | None:
    if not sizes:
        return None
    repeats = list(sizes.values())
    summary: dict[str, Any] = {}
    for axis, name in enumerate(("height", "width")):
        lengths = np.repeat([size[axis] for size in sizes], repeats)
        summary[name] = {"min": int(lengths.min()), "median": float(np.median(lengths)), "max": int(lengths.max())}
    summary["n_distinct"] = len(sizes)
    summary["most_common"] = [{"height": h, "width": w, "n": n} for (h, w), n in sizes.most_common(5)]
    return summary
