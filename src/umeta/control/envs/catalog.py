"""Knows which processes have a name."""

import difflib
from collections.abc import Callable

from umeta.control.envs.grid.env import Grid
from umeta.control.envs.point_nav.env import PointNav, point_walls
from umeta.control.process import ControlledProcess
from umeta.core.errors import InputError

PROCESSES: dict[str, Callable[[], ControlledProcess]] = {
    "PointNav-v0": PointNav,
    "PointWalls-v0": point_walls,
    "Grid-v0": Grid,
}


def make_process(name: str) -> ControlledProcess:
    """Return the process of that name; raises `InputError` with the nearest names if there is none."""
    if name not in PROCESSES:
        near = difflib.get_close_matches(name, PROCESSES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(PROCESSES)}"
        raise InputError(f"there is no environment {name!r}; {hint}")
    return PROCESSES[name]()
