"""The chance of an unrelated image, by hand and by counting; and the points that cover."""

import numpy as np
import pytest
import torch

from umeta.core.rng import Rng
from umeta.images.novelty import Novelty, farthest_first


def test_the_chance_by_hand():
    novelty = Novelty(np.array([-0.5, 0.0, 0.5, 0.9], np.float32))
    support = torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    queries = torch.tensor([[5.0, 0.0], [1.0, 1.0], [-1.0, -1.0]])
    found = novelty.chance(queries, support, torch.tensor([0, 1, 1]), 2)
    # cosines to the nearest mean: 1, 0.707 and -0.707; below them lie 4, 3 and 0 of 4
    assert found == pytest.approx([1 - 1.0, 1 - 0.75**2, 1 - 0.0])


def test_of_unrelated_images_a_share_p_has_a_chance_below_p():
    generator = np.random.default_rng(0)
    pool = generator.integers(0, 256, (800, 1, 4, 4)).astype(np.uint8)

    def encoder(images):
        return images.flatten(1) - 0.5

    novelty = Novelty.of(encoder, pool, Rng.from_seed(0))
    assert len(novelty.cosines) == 600 * 599 // 2 and (np.diff(novelty.cosines) >= 0).all()
    strangers = torch.from_numpy(generator.random((3000, 1, 4, 4))).float()
    support = torch.from_numpy(generator.random((3000, 1, 4, 4))).float()
    labels = torch.arange(5)
    chances = np.concatenate(
        [novelty.chance(encoder(strangers[i : i + 5]), encoder(support[i : i + 5]), labels, 5) for i in range(0, 3000, 5)]
    )
    for p in (0.1, 0.3, 0.5):
        assert (chances < p).mean() == pytest.approx(p, abs=0.05)
    assert novelty.chance(encoder(support[:5]), encoder(support[:5]), labels, 5).max() < 0.01, "the examples themselves are known"


def test_farthest_first_covers():
    points = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.05], [0.1, 1.0]])
    assert list(farthest_first(points, torch.tensor([[1.0, 0.0]]), 2)) == [3, 2]
    assert sorted(farthest_first(points, torch.zeros(0, 2), 99)) == [0, 1, 2, 3, 4], "each once"
    assert farthest_first(points[:0], points, 3) == []
