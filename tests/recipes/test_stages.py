"""Which stages of a run are handed to others."""

import numpy as np
import pytest
from PIL import Image

from umeta.core.hands import Threads
from umeta.recipes import stages
from umeta.recipes.learn import learn
from umeta.recipes.named import get_recipe
from umeta.recipes.request import Plan, resolve


class AskedError(Exception):
    """Who was asked to read."""


@pytest.mark.parametrize("name", ["photos", "photos.npz"])
def test_files_are_read_by_other_hands_and_one_array_is_not(tmp_path, monkeypatch, name):
    def refuse(*_, by, **__):
        raise AskedError(by)

    monkeypatch.setattr(stages, "build_cache", refuse)
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "photos/0.png")
    np.savez(tmp_path / "photos.npz", images=np.zeros((2, 4, 4), np.uint8))
    hands = Threads(1)
    with pytest.raises(AskedError) as asked:
        learn(resolve(str(tmp_path / name), steps=1), tmp_path / "run", hands=hands)
    assert asked.value.args == (hands if name == "photos" else None,)


@pytest.mark.parametrize(("channels", "n_dim"), [(1, 32), (3, 32 * 3 * 3)])
def test_where_something_is_counts_in_photos_and_not_in_drawings(channels, n_dim):
    plan = Plan(100, channels, 42, n_clusters=8, n_way=5, n_query=5, n_turns=1, augment="affine", downsample="pool")
    assert stages.make_net(get_recipe("cactus-maml"), plan).n_dim == n_dim
