"""Knows how a person writes a length of time."""

import re

from umeta.core.errors import InputError


def seconds(budget: object) -> float:
    """Return the seconds in "90s", "20m" or "2h"; raises `InputError` for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", str(budget).strip())
    if found is None or float(found[1]) <= 0:
        raise InputError(f"--budget {budget!r} is not a time; write 90s, 20m or 2h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def written(seconds: float) -> str:
    """Return a length of time as a person would write it, such as "20m"; the inverse of `seconds`."""
    return f"{seconds / 60:g}m" if seconds % 60 == 0 else f"{seconds:g}s"
