"""Knows what a folder that umeta wrote is, and which verbs take it; looks at no more than its description."""

import json
from pathlib import Path
from typing import Any

from umeta.core.errors import InputError
from umeta.recipes.route import is_control_run

IMAGE_RUN, CONTROL_RUN, CLASSIFIER, AGENT = "a run on images", "a run in an environment", "a classifier", "an agent"
RUN = (IMAGE_RUN, CONTROL_RUN)
NEXT = {
    IMAGE_RUN: "umeta adapt {} --support DIR --out CLF",
    CONTROL_RUN: "umeta adapt {} --reward FILE.py:NAME --out AGENT",
    CLASSIFIER: "umeta predict {} IMAGE...",
    AGENT: "umeta rollout {} --video FILE",
}


def kind_of(folder: Path) -> str | None:
    """Return what a folder is, a key of `NEXT`; None where it is nothing that umeta wrote, so that who opens it says what is wrong."""
    if is_control_run(folder):
        return CONTROL_RUN
    if {"source", "recipe", "seed"} <= _read(folder / "config.json").keys():
        return IMAGE_RUN
    return {"classifier": CLASSIFIER, "agent": AGENT}.get(str(_read(folder / "artifact.json").get("kind")))


def check_folder(folder: Path, verb: str, *taken: str) -> None:
    """Raise `InputError` where a folder is another thing of umeta's than those that a verb takes."""
    found = kind_of(folder)
    if found is None or found in taken:
        return
    if found == CONTROL_RUN and taken == (IMAGE_RUN,):
        raise InputError(f"{folder} learned in an environment; {verb} is for images")
    wanted = "a run" if taken == RUN else " or ".join(taken)
    raise InputError(f"{folder} is {found}, and {verb} takes {wanted}; try: {NEXT[found].format(folder)}")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
