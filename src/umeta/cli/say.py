"""Knows how a verb talks to standard output: text, or one JSON object."""

import json
import math
import sys
from typing import Any


def say(text: str) -> None:
    """Print to standard output."""
    sys.stdout.write(text + "\n")


def say_json(content: Any) -> None:
    """Print one JSON object, and nothing else, to standard output."""
    sys.stdout.write(json.dumps(_standard(content), indent=1, allow_nan=False) + "\n")


def _standard(content: Any) -> Any:
    """Return content with null for NaN and infinite numbers, which JSON lacks: the interval over one task, say."""
    if isinstance(content, dict):
        return {key: _standard(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_standard(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
