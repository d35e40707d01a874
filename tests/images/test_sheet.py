"""A picture of tasks, pixel by pixel."""

import numpy as np
import pytest
import torch
from PIL import Image

from umeta.images.episode import Episodes, Pool
from umeta.images.sheet import BACKGROUND, GAP, SUPPORT_EDGE, draw_table, draw_tasks, neighbor_table


@pytest.mark.parametrize("channels", [1, 3])
def test_supports_are_on_top_with_a_blue_edge_and_queries_below(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (24, channels, 6, 6)).astype(np.uint8)
    indices = np.arange(24).reshape(2, 3, 4)
    draw_tasks(Episodes(Pool(images), indices, k_shot=1), tmp_path / "x.png", scale=1)
    sheet = np.asarray(Image.open(tmp_path / "x.png"))
    step = 6 + 2 * GAP
    assert sheet.shape == (2 * 4 * step + 4 * GAP, 3 * step, 3)
    below = 4 * step + 4 * GAP
    for task, top in ((0, 0), (1, below)):
        for way in range(3):
            for place in range(4):
                cell = sheet[top + place * step : top + (place + 1) * step, way * step : (way + 1) * step]
                wanted = images[indices[task, way, place]].transpose(1, 2, 0)
                assert np.abs(cell[GAP:-GAP, GAP:-GAP].astype(int) - wanted).max() <= 1
                assert tuple(cell[0, 0]) == (SUPPORT_EDGE if place == 0 else (BACKGROUND,) * 3)
    assert (sheet[4 * step : below] == 255).all()


def test_large_tasks_are_cut_and_the_picture_can_be_enlarged(tmp_path):
    images = np.zeros((13 * 9, 1, 4, 4), np.uint8)
    tasks = Episodes(Pool(images), np.arange(13 * 9).reshape(1, 13, 9), k_shot=2)
    draw_tasks(tasks, tmp_path / "x.png", scale=3)
    assert Image.open(tmp_path / "x.png").size == (3 * 10 * 8, 3 * 7 * 8)


def test_a_table_shows_every_image_in_its_place(tmp_path):
    images = torch.rand(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    draw_table(images, tmp_path / "x.png", scale=1)
    sheet = np.asarray(Image.open(tmp_path / "x.png"))
    step = 4 + 2 * GAP
    assert sheet.shape == (2 * step, 3 * step, 3)
    for row in range(2):
        for column in range(3):
            cell = sheet[row * step + GAP : (row + 1) * step - GAP, column * step + GAP : (column + 1) * step - GAP]
            assert (cell[..., 0] == (images[row, column, 0] * 255).round().numpy()).all()


def test_each_image_is_followed_by_those_nearest_to_it(rng):
    matrix = torch.arange(6.0)[:, None] ** 2
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), np.uint8)
    table = (neighbor_table(matrix, images, rng, n_rows=6, n_columns=2)[:, :, 0, 0, 0] * 255).round().int().tolist()
    assert sorted(table) == [[0, 1], [1, 0], [2, 1], [3, 2], [4, 3], [5, 4]]
