"""Which stages of a run are handed to others."""

import numpy as np
import pytest
from PIL import Image

from umeta.core.hands import Threads
from umeta.recipes import stages
from umeta.recipes.learn import learn
from umeta.recipes.request import resolve


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
