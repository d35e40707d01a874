"""Knows how a point in its arena looks."""

from PIL import Image, ImageDraw
from torch import Tensor

from umeta.control.envs.point_nav.env import PointNav
from umeta.control.envs.point_nav.types import ARENA

SIDE = 240
GROUND, WALL, TRAIL, POINT = (250, 250, 247), (60, 60, 66), (140, 170, 220), (208, 72, 52)


def draw(process: PointNav, path: Tensor) -> Image.Image:
    """Return a picture of the arena with the way so far and the point at its end.

    Args:
        process: With its walls.
        path: Float [n, 2], the positions so far, at least one.
    """
    image = Image.new("RGB", (SIDE, SIDE), GROUND)
    pen = ImageDraw.Draw(image)
    for wall in process.walls:
        ends = [(wall.at, wall.low), (wall.at, wall.high)]
        pen.line([_pixel(*(end if wall.axis == 0 else end[::-1])) for end in ends], WALL, 5)
    points = [_pixel(float(x), float(y)) for x, y in path]
    if len(points) > 1:
        pen.line(points, TRAIL, 3)
    x, y = points[-1]
    pen.ellipse([x - 6, y - 6, x + 6, y + 6], POINT)
    pen.rectangle([0, 0, SIDE - 1, SIDE - 1], outline=WALL, width=3)
    return image


def _pixel(x: float, y: float) -> tuple[float, float]:
    return (x + ARENA) / (2 * ARENA) * (SIDE - 1), (ARENA - y) / (2 * ARENA) * (SIDE - 1)
