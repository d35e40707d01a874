"""Knows how many images of a source are read while only a few are in memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TypeVar

import numpy as np
from PIL import Image

from umeta.core.hands import Hands, Part, Threads
from umeta.images.pixels import BadImageError, Pixels, fit_square, gray_if_equal
from umeta.images.source import ImageSource

_CHUNK, _AT_ONCE = 16, 32
T = TypeVar("T")


def read_all(
    source: ImageSource, indices: Sequence[int], work: Callable[[Pixels], T], by: Hands
) -> Generator[tuple[int, T | BadImageError], None, None]:
    """Read many images while only a bounded number is in memory.

    Args:
        source: Where to read.
        indices: Which images, in the order wanted.
        work: Turns the pixels into what is kept.
        by: Who reads and works.

    Yields:
        Each index with the result of `work`, or with the error if the image is bad.
    """
    chunks = [indices[start : start + _CHUNK] for start in range(0, len(indices), _CHUNK)]
    with _strict(), closing(by(partial(_read, source, work), chunks, at_once=_AT_ONCE)) as results:
        for result in results:
            yield from result


def _read(source: ImageSource, work: Callable[[Pixels], T], chunk: Part) -> list[tuple[int, T | BadImageError]]:
    results: list[tuple[int, T | BadImageError]] = []
    with _strict():
        for index in chunk:
            try:
                results.append((index, work(gray_if_equal(source.read(index)))))
            except BadImageError as error:
                results.append((index, error))
    return results


@contextmanager
def _strict() -> Iterator[None]:
    # Within one process the outermost counts: what threads restore on leaving is already as strict.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_stacked(source: ImageSource, size: int, n_channels: int) -> Pixels:
    """Decode a whole source into one array in memory, on all cores.

    Returns:
        uint8 `[n, n_channels, size, size]`, each image brought there by `fit_square`.

    Raises:
        BadImageError: If one image cannot be used.
    """
    images = np.empty((len(source), n_channels, size, size), np.uint8)

    def fit(pixels: Pixels) -> Pixels:
        return fit_square(pixels, size, n_channels)

    with closing(read_all(source, range(len(source)), fit, Threads(os.cpu_count() or 1))) as results:
        for index, result in results:
            if isinstance(result, BadImageError):
                raise result
            images[index] = result
    return images
