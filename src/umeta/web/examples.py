"""Knows the sets of examples that a lesson can start with, from the built-in glyphs."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from umeta.benchmarks.glyphs import render_glyphs

SETS: Mapping[str, str] = {"Digits": "0123456789", "Greek letters": "αβγδλπφψω", "Georgian letters": "აბგდევზთ", "Signs": "+?!#&@$%"}
FACE = 0


def example_set(name: str) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return the classes of a set with one image each, [28, 28], ink 255 on 0; one that the fonts lack is left out."""
    glyphs = render_glyphs()
    index = {character: place for place, character in enumerate(glyphs.characters)}
    return [(character, glyphs.images[index[character], FACE]) for character in SETS[name] if character in index]
