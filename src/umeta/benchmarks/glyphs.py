"""Knows the built-in demo data: characters as matplotlib's 12 DejaVu faces draw them, with whole scripts held out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from umeta.benchmarks.benchmark import (
    FixedTask,
    LabeledImages,
    SplitName,
    check_protocol,
    class_major_labels,
    unlabeled_pool,
)
from umeta.core.errors import InputError
from umeta.images.source import ArraySource

SIDE = 28
MARGIN = 1
EM = 24
FACES = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
)
SCRIPTS: dict[SplitName, tuple[str, ...]] = {"meta_val": ("CYRILLIC",), "meta_test": ("GREEK", "ARMENIAN", "GEORGIAN")}


@dataclass(frozen=True, eq=False)
class GlyphSet:
    """The classes of the demo data, by code point.

    Attributes:
        characters: One character per class.
        images: uint8 `[n, 12, 28, 28]`, ink 255 on 0; one image per face, in the order of `FACES`.
    """

    characters: tuple[str, ...]
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class Glyphs:
    """Characters in 12 faces at 28x28: a benchmark that needs no download and no file.

    A class is a character; its 12 images are the regular, bold, oblique and bold oblique faces of DejaVu Sans, Sans
    Mono and Serif. Protocol `scripts`, the only one, holds out whole scripts: Greek, Armenian and Georgian letters are
    `meta_test`, Cyrillic letters `meta_val`; Latin letters, digits, punctuation and symbols are `meta_train`, and the
    pool. Left out are

    * characters that some face lacks or draws without ink, or that fewer than 12 different images stand for (most
      arrows and box drawings are the same in several faces);
    * of the held-out scripts, accented letters and signs that are no letters: 251 Greek letters are accented forms, and
      would make the test a question about accents, which are three pixels high here;
    * characters that share an image, in any two faces, with a class of a lower code point. Latin is lowest, so it is
      the held-out side that gives way: Greek capital alpha is Latin A here. No image belongs to two classes, hence none
      to two splits.

    With 12 images per class, `k_shot + n_query` is at most 12.
    """

    name: ClassVar[str] = "glyphs"
    protocols: ClassVar[tuple[str, ...]] = ("scripts",)
    ways: ClassVar[tuple[int, ...]] = (5, 20)
    shots: ClassVar[tuple[int, ...]] = (1, 5)

    def n_query(self, protocol: str) -> int:
        """Return 5: with 5 shots, 10 of the 12 images of a class are used."""
        check_protocol(self, protocol)
        return 5

    def pool(self, protocol: str) -> ArraySource:
        """Return the images of `meta_train` without labels, of 28x28, shuffled."""
        train, test = self.split(protocol, "meta_train"), self.split(protocol, "meta_test")
        return unlabeled_pool(f"{self.name}:{protocol}", train.images, test.images)

    def split(self, protocol: str, name: SplitName) -> LabeledImages:
        """Return the labeled images of one split, `[n, 1, 28, 28]`, 12 per class; classes carry their Unicode names."""
        check_protocol(self, protocol)
        glyphs = render_glyphs()
        chosen = [i for i, character in enumerate(glyphs.characters) if split_of(character) == name]
        return LabeledImages(
            glyphs.images[chosen].reshape(-1, 1, SIDE, SIDE),
            class_major_labels(len(chosen), len(FACES)),
            tuple(unicodedata.name(glyphs.characters[i]) for i in chosen),
        )

    def fixed_tasks(self, protocol: str) -> tuple[FixedTask, ...]:
        """Return nothing: tasks are sampled from `meta_test`."""
        check_protocol(self, protocol)
        return ()


def split_of(character: str) -> SplitName:
    """Return the split that a character's script belongs to, whether or not the character is a class."""
    script = unicodedata.name(character).split()[0]
    return next((split for split, scripts in SCRIPTS.items() if script in scripts), "meta_train")


@lru_cache(maxsize=1)
def render_glyphs() -> GlyphSet:
    """Draw all classes; once per process, in one or two seconds.

    Raises:
        InputError: If matplotlib came without its fonts.
    """
    faces = [_face_path(face) for face in FACES]
    fonts = [_sizes(path) for path in faces]
    seen: set[bytes] = set()
    characters: list[str] = []
    images: list[NDArray[np.uint8]] = []
    for character in filter(_is_candidate, _characters_in_all(faces)):
        drawn = [_draw(character, sizes) for sizes in fonts]
        different = {image.tobytes() for image in drawn}
        if len(different) == len(FACES) and all(image.any() for image in drawn) and not different & seen:
            seen |= different
            characters.append(character)
            images.append(np.stack(drawn))
    return GlyphSet(tuple(characters), np.stack(images))


def draw_characters(characters: Iterable[str], face: str = FACES[0]) -> list[NDArray[np.uint8]]:
    """Return an image [28, 28] of each character, as the benchmark has it, without drawing all others.

    Raises:
        InputError: If matplotlib came without its fonts.
    """
    sizes = _sizes(_face_path(face))
    return [_draw(character, sizes) for character in characters]


def _sizes(path: Path) -> dict[int, ImageFont.FreeTypeFont]:
    return {em: ImageFont.truetype(path, em, layout_engine=ImageFont.Layout.BASIC) for em in range(4, EM + 1)}


def _face_path(face: str) -> Path:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"
    if not path.is_file():
        raise InputError(f"{path} not found: the glyphs are drawn with matplotlib's own fonts; `pip install matplotlib`")
    return path


def _characters_in_all(faces: Iterable[Path]) -> list[str]:
    from fontTools.ttLib import TTFont

    code_points: list[set[int]] = []
    for face in faces:
        with TTFont(face, lazy=True) as font:
            code_points.append(set(font.getBestCmap()))
    return [chr(code_point) for code_point in sorted(set.intersection(*code_points))]


def _is_candidate(character: str) -> bool:
    # Modifier letters (Lm) and modifier symbols (Sk) are small copies of other characters, or bare accents.
    category = unicodedata.category(character)
    if category[0] not in "LNPS" or category in ("Lm", "Sk"):
        return False
    is_plain_letter = category[0] == "L" and not unicodedata.decomposition(character)
    return is_plain_letter or split_of(character) == "meta_train"


def _draw(character: str, sizes: dict[int, ImageFont.FreeTypeFont]) -> NDArray[np.uint8]:
    """Draw one character centered by its ink, at `EM` pixels per em or the largest size at which the ink fits."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    for em in sorted(sizes, reverse=True):
        mask = sizes[em].getmask(character, mode="L")
        box = mask.getbbox()
        if box is None:
            break
        left, top, right, bottom = box
        height, width = bottom - top, right - left
        if max(height, width) <= SIDE - 2 * MARGIN:
            ink = np.frombuffer(bytes(mask), np.uint8).reshape(mask.size[1], mask.size[0])
            y, x = (SIDE - height) // 2, (SIDE - width) // 2
            canvas[y : y + height, x : x + width] = ink[top:bottom, left:right]
            break
    return canvas
