"""Knows which half of umeta a command goes to: images, or an environment without a reward."""

import json
from pathlib import Path

PREFIX = "env:"


def is_environment(source: str) -> bool:
    """Return whether a source is an environment."""
    return source.startswith(PREFIX)


def is_control_run(run: Path) -> bool:
    """Return whether a run learned in an environment; False where it is no run, so that the other half says what is wrong."""
    try:
        return is_environment(str(json.loads((run / "config.json").read_text(encoding="utf-8"))["source"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False
