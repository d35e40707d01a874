"""Knows how sure a mean over tasks is."""

import math
from collections.abc import Callable, Sequence

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


def interquartile_mean(values: ArrayLike) -> float:
    """Return the mean of the middle half of the values: less moved by a few odd ones than the mean, and steadier than the median.

    A quarter of the values, rounded down, is left out at each end.

    Source:
        Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (arXiv:2108.13264).

    Example:
        >>> interquartile_mean([0.0, 1.0, 2.0, 100.0])
        1.5
    """
    array: NDArray[np.float64] = np.sort(np.asarray(values, np.float64).ravel())
    if array.size == 0:
        raise ValueError("a mean needs at least one value")
    cut = array.size // 4
    return float(array[cut : array.size - cut].mean())


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[[ArrayLike], float],
    generator: np.random.Generator,
    *,
    n_resamples: int = 1000,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic under resampling of the values with replacement.

    Args:
        values: Independent values; only the first axis is resampled, so rows stay whole.
        statistic: Maps values of the same shape to a number.
        generator: Draws the resamples.
        n_resamples: How many.
    """
    array: NDArray[np.float64] = np.asarray(values, np.float64)
    picks = generator.integers(0, len(array), (n_resamples, len(array)))
    low, high = np.quantile([statistic(array[pick]) for pick in picks], (0.025, 0.975))
    return float(low), float(high)
