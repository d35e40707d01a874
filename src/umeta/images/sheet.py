"""Knows how proposed tasks and embeddings look to a person: a picture of supports and queries, or a table of images."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from umeta.core.rng import Rng
from umeta.images.embed.encoder import to_float
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


def draw_table(images: Float[Tensor, "rows columns c h w"], path: Path, *, scale: int = 2) -> None:
    """Write a PNG of a table of images with values in `[0, 1]`."""
    block = draw_block((images * 255).round().byte().numpy().swapaxes(0, 1), 0)
    sheet = Image.fromarray(block)
    sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST).save(path)


def neighbor_table(
    matrix: Float[Tensor, "n dim"], images: NDArray[np.uint8], rng: Rng, *, n_rows: int = 10, n_columns: int = 10
) -> Float[Tensor, "rows columns c h w"]:
    """Return images, one a row, each followed by those nearest to it in an embedding."""
    chosen = torch.from_numpy(rng.numpy().permutation(len(images))[:n_rows])
    near = torch.cdist(matrix[chosen].float(), matrix.float()).argsort(1)[:, :n_columns]
    return to_float(torch.from_numpy(np.array(images[near.numpy()])))


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
