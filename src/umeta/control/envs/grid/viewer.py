"""Knows how a walker on a grid looks."""

from PIL import Image, ImageDraw
from torch import Tensor

from umeta.control.envs.grid.env import Grid

CELL = 40
GROUND, WALL, LINE, WALKER = (250, 250, 247), (60, 60, 66), (215, 215, 210), (208, 72, 52)


def draw(process: Grid, path: Tensor) -> Image.Image:
    """Return a picture of the grid with the walker in its last cell.

    Args:
        process: With its walls.
        path: Float [n, n_cell], the observations so far, at least one.
    """
    image = Image.new("RGB", (process.width * CELL + 1, process.height * CELL + 1), GROUND)
    pen = ImageDraw.Draw(image)
    here = process.cells[int(path[-1].argmax())]
    for row in range(process.height):
        for column in range(process.width):
            x, y = column * CELL, row * CELL
            pen.rectangle([x, y, x + CELL, y + CELL], WALL if (row, column) in process.walls else GROUND, LINE)
            if (row, column) == here:
                pen.ellipse([x + 8, y + 8, x + CELL - 8, y + CELL - 8], WALKER)
    return image
