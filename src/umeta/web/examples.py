"""Knows the sets of examples that a lesson can start with, drawn with the built-in fonts."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from umeta.benchmarks.glyphs import draw_characters

SETS: Mapping[str, str] = {"Digits": "0123456789", "Greek letters": "αβγδλπφψω", "Georgian letters": "აბგდევზთ", "Signs": "+?!#&@$%"}


def example_set(name: str) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return the classes of a set with one image each, [28, 28], ink 255 on 0."""
    return list(zip(SETS[name], draw_characters(SETS[name]), strict=True))
