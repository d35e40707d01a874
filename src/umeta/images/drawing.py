"""Knows how the drawings of a pool are drawn, so that a stroke made elsewhere can be given the same size, width and shade."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INK_FROM = 0.4


@dataclass(frozen=True)
class DrawingStyle:
    """How strokes look in a pool.

    Attributes:
        bright: Whether ink is bright on dark; else dark on bright.
        extent: The longer side of what is inked, as a share of the image's side: the median.
        stroke: Width of a stroke, as a share of the image's side: the median.
    """

    bright: bool
    extent: float
    stroke: float

    @classmethod
    def of(cls, images: NDArray[np.uint8]) -> "DrawingStyle":
        """Measure some drawings [n, 1, side, side]; the rarer shade is the ink.

        A line of width w that fades at both edges has, per unit of length, ink w and two edges over which the brightness changes by 1; so
        its width is twice the ink over the sum of the gradient.
        """
        ink = images[:, 0].astype(np.float32) / 255
        bright = bool(ink.mean() < 0.5)
        ink = ink if bright else 1 - ink
        extents, strokes = [], []
        for one in ink[ink.max((1, 2)) > INK_FROM]:
            rows, columns = (np.flatnonzero((one > INK_FROM).any(axis)) for axis in (1, 0))
            extents.append(max(np.ptp(rows), np.ptp(columns)) + 1)
            down, across = np.gradient(one)
            strokes.append(2 * one.sum() / np.hypot(down, across).sum())
        side = images.shape[-1]
        if not extents:
            return cls(bright, 0.7, 0.07)
        return cls(bright, float(np.median(extents)) / side, float(np.median(strokes)) / side)
