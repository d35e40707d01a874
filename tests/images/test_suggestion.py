"""What to label next: by hand on a line, against the slow oracle, and on images of classes."""

import numpy as np
import pytest
import torch

import umeta
from umeta.core.errors import InputError
from umeta.images import suggestion
from umeta.images.pixels import BadImageError
from umeta.images.suggestion import cover, suggest


def test_medoids_on_a_line_by_hand():
    line = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0]])
    even = torch.ones(5)
    assert cover(line, 3, None, even).tolist()[:2] == [2, 3], "the middle of all by the sum of distances, then the far group"
    assert cover(line, 1, torch.tensor([[1.0]]), even).tolist() == [3]
    assert cover(line, 1, torch.tensor([[10.0]]), torch.tensor([1.0, 1.0, 1.0, 1.0, 900.0])).tolist() == [4], "a doubtful one counts more"


def test_the_greedy_choice_is_the_best_one_at_every_step(rng, monkeypatch):
    vectors, weight = torch.randn(30, 3, generator=rng.torch()), torch.rand(30, generator=rng.fork("w").torch())
    apart, chosen = torch.cdist(vectors, vectors), []
    for _ in range(5):
        cost = [float((apart[:, [*chosen, j]].amin(1) * weight).sum()) if j not in chosen else np.inf for j in range(30)]
        chosen.append(int(np.argmin(cost)))
    assert cover(vectors, 5, vectors[chosen[:1]], weight).tolist()[:4] == chosen[1:]
    monkeypatch.setattr(suggestion, "MOST_COVERED", 10)
    assert len(set(cover(vectors, 30, None, weight).tolist())) == 30, "each is suggested once, also when few are to be covered"


def test_each_class_is_found(tiny_run, tiny_pool):
    images = tiny_pool.images[:96, 0]
    procedure = umeta.load(tiny_run)
    first = suggest(procedure, images, 8)
    assert set(first // 24) == {0, 1, 2, 3}
    assert umeta.suggest(tiny_run, list(images), 8).tolist() == first.tolist()
    left = suggest(procedure, images, 4, (images[:48], ["a"] * 24 + ["b"] * 24))
    assert set(left // 24) >= {2, 3}, "classes without a label come first"
    with pytest.raises(InputError, match="97 of 96 images cannot be suggested; give a number from 1 to 96"):
        suggest(procedure, images, 97)
    with pytest.raises(InputError, match="there are no images"):
        umeta.suggest(tiny_run, [], 5)
    with pytest.raises(BadImageError, match=r"gone\.png: no such file"):
        umeta.suggest(tiny_run, ["gone.png"], 1)
    with pytest.raises(InputError, match="give a list of paths"):
        umeta.suggest(tiny_run, "gone.png", 1)
