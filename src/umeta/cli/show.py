"""Knows how an inspection reads on a screen."""

from typing import Any

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
