"""Many images are read in order, a few at a time, by the same rules whoever reads them."""

import threading
import time
import warnings

import numpy as np
import pytest
from PIL import Image

from umeta.core.hands import Threads, in_turn
from umeta.images.pixels import BadImageError
from umeta.images.reading import read_all, read_stacked
from umeta.images.source import ArraySource, FolderSource


class CountingSource(ArraySource):
    """An array that knows how far it has been read, and has a bad image."""

    n_read, lock = 0, threading.Lock()

    def read(self, index):
        with self.lock:
            self.n_read += 1
        if index == 2:
            raise BadImageError("broken on purpose")
        return super().read(index)


def elsewhere(work, parts, *, at_once=1):
    """As in a process that has only the filters for warnings that Python has by itself."""
    for part in parts:
        with warnings.catch_warnings():
            warnings.resetwarnings()
            yield work(part)


def test_reading_ahead_is_bounded_and_in_order():
    source = CountingSource(np.arange(1000, dtype=np.uint8).repeat(16).reshape(1000, 4, 4), "a")
    results = read_all(source, range(len(source)), lambda pixels: int(pixels[0, 0]), Threads(2))
    assert next(results) == (0, 0)
    time.sleep(0.2)  # the threads go on until the bound stops them
    assert source.n_read <= 16 * 5
    rest = list(results)
    assert [index for index, _ in rest] == list(range(1, 1000))
    assert isinstance(rest[1][1], BadImageError)
    assert rest[256] == (257, 1)


@pytest.mark.parametrize("by", [in_turn, Threads(2), elsewhere])
def test_an_image_too_large_to_be_opened_is_refused_by_whoever_reads(tmp_path, by):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    with warnings.catch_warnings(record=True) as shown:
        ((_, found),) = read_all(FolderSource(tmp_path), range(1), np.shape, by)
    assert str(found) == "too large: over 50 megapixels"
    assert not shown


def test_a_whole_source_in_one_array_is_in_order_and_of_one_shape():
    images = np.arange(40, dtype=np.uint8).repeat(3 * 8 * 6).reshape(40, 8, 6, 3)
    images[..., 1] += 100
    stacked = read_stacked(ArraySource(images, "x"), 6, 3)
    assert np.array_equal(stacked, np.moveaxis(images[:, 1:7], -1, 1))
    assert read_stacked(ArraySource(images, "x"), 3, 1).shape == (40, 1, 3, 3)


def test_a_bad_image_ends_the_reading_of_a_whole_source(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(BadImageError, match="empty file"):
        read_stacked(FolderSource(tmp_path), 4, 1)
