"""Knows how sure a mean over tasks is."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.96


def mean_ci95(values: ArrayLike) -> tuple[float, float]:
    """Return the mean of independent values and the half-width of its 95 % interval, `1.96 * std / sqrt(n)`.

    The standard deviation has `n - 1` in its denominator; one value alone has an interval of NaN.

    Source:
        The interval of Finn et al. 2017 and of CACTUs, except for their denominator `n`.

    Example:
        >>> mean_ci95([0.0, 1.0, 0.0, 1.0])[0]
        0.5
    """
    array: NDArray[np.float64] = np.asarray(values, np.float64)
    if array.size == 0:
        raise ValueError("a mean needs at least one value")
    if array.size == 1:
        return float(array[0]), math.nan
    return float(array.mean()), float(Z95 * array.std(ddof=1) / math.sqrt(array.size))


def paired_difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return mean and 95 % half-width of `first - second`, value by value: far narrower than two intervals where tasks are the same.

    Raises:
        ValueError: The lengths differ.
    """
    if len(first) != len(second):
        raise ValueError(f"paired values must match: {len(first)} against {len(second)}")
    return mean_ci95(np.asarray(first) - np.asarray(second))
