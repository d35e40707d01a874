"""Knows the arena of the point: its size, its walls, and how far one step goes."""

from dataclasses import dataclass

ARENA = 0.5
STEP = 0.1
HORIZON = 50


@dataclass(frozen=True)
class Wall:
    """A straight piece of wall along one axis.

    Attributes:
        axis: The coordinate that cannot be crossed: 0 for x (a vertical wall), 1 for y.
        at: Its value there.
        low: Where the wall begins on the other axis.
        high: Where it ends.
    """

    axis: int
    at: float
    low: float
    high: float


# Two walls from opposite sides leave a corridor around the start: the right part is reached over the top, the left one from below.
WALLS = (Wall(0, 0.2, -ARENA, 0.25), Wall(0, -0.2, -0.25, ARENA))
