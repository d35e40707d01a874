"""Knows how proposed tasks look to a person: a picture of supports and queries."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from umeta.images.episode import Episodes

GAP = 2
SHOWN_WAYS = 10
SHOWN_QUERIES = 5
BACKGROUND = 128
SUPPORT_EDGE = (38, 132, 255)


def draw_tasks(tasks: Episodes, path: Path, *, scale: int = 2) -> None:
    """Write a PNG: one block per task, one column per class, the support images on top with a blue edge, queries below."""
    images = (tasks.images() * 255).byte().numpy()[:, :SHOWN_WAYS]
    images = images[:, :, : tasks.k_shot + min(tasks.n_query, SHOWN_QUERIES)]
    blocks = [draw_block(task, tasks.k_shot) for task in images]
    gap = np.full((4 * GAP, blocks[0].shape[1], 3), 255, np.uint8)
    rows = [part for block in blocks for part in (block, gap)][:-1]
    sheet = Image.fromarray(np.concatenate(rows))
    sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST).save(path)


def draw_block(task: NDArray[np.uint8], k_shot: int) -> NDArray[np.uint8]:
    """Return a picture [h, w, 3] of images [n_way, n_image, c, side, side]: one column per class, the first `k_shot` with a blue edge."""
    n_way, n_image, channels, side, _ = task.shape
    step = side + 2 * GAP
    block = np.full((n_image * step, n_way * step, 3), BACKGROUND, np.uint8)
    for column in range(n_way):
        for row in range(n_image):
            cell = block[row * step : (row + 1) * step, column * step : (column + 1) * step]
            if row < k_shot:
                cell[:] = SUPPORT_EDGE
            pixels = task[column, row].transpose(1, 2, 0)
            cell[GAP:-GAP, GAP:-GAP] = np.broadcast_to(pixels, (side, side, 3)) if channels == 1 else pixels
    return block
