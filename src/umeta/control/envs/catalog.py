"""Knows which processes have a name."""

from collections.abc import Callable

from umeta.control.envs.grid.env import Grid
from umeta.control.envs.gymnasium_process import gymnasium_process
from umeta.control.envs.point_nav.env import PointNav, point_walls
from umeta.control.process import ControlledProcess

PROCESSES: dict[str, Callable[[], ControlledProcess]] = {
    "PointNav-v0": PointNav,
    "PointWalls-v0": point_walls,
    "Grid-v0": Grid,
}


def make_process(name: str) -> ControlledProcess:
    """Return the process of that name, of umeta or of gymnasium.

    Raises:
        InputError: There is no such process, an extra is missing, or it cannot be used; the text says which and what to do.
    """
    return PROCESSES[name]() if name in PROCESSES else gymnasium_process(name, tuple(PROCESSES))
