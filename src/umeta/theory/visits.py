"""Knows how visited states, of a trained skill discoverer say, are put on the axes of the exact optimum."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from umeta.core.errors import InputError
from umeta.functional.capacity import divergences
from umeta.theory.process import TabularProcess, listed
from umeta.theory.regret import hitting_times

RULE_OF_THREE = 3.0


@dataclass(frozen=True, eq=False)
class Visits:
    """Where episodes ended, beside where they could have.

    Attributes:
        marginal: Shape [n_states], shares of episodes.
        n_episodes: How many episodes.
        coverage: Share of the goals in which at least one episode ended.
        kl_uniform: KL divergence from the uniform distribution over the goals, in nats; 0 is best without noise.
        kl_optimum: KL divergence from the marginal of the explorer it is compared with, in nats; infinite if that one never ends there.
        worst: Largest hitting time by these shares; infinite if a goal was not visited.
        at_least: What `worst` is at least, with 95 % confidence, if a goal was not visited: a third of the episodes. Else `worst`.
        unvisited: Goals in which no episode ended.
    """

    marginal: np.ndarray
    n_episodes: int
    coverage: float
    kl_uniform: float
    kl_optimum: float
    worst: float
    at_least: float
    unvisited: np.ndarray


def measure_visits(process: TabularProcess, ends: Int[np.ndarray, " n_episodes"], optimum: Float[np.ndarray, " n_states"]) -> Visits:
    """Compare the states in which episodes ended with an exact marginal on the same process.

    Args:
        process: What the episodes were run on, or a grid laid over it.
        ends: The last state of each episode.
        optimum: Shape [n_states], the marginal to compare with.

    Raises:
        InputError: No episode, a number that is no state, or a state in which no episode of this process can end.
    """
    if ends.size == 0:
        raise InputError("there is no visited state; give at least one")
    if ends.min() < 0 or ends.max() >= process.n_states:
        wrong = ends[(ends < 0) | (ends >= process.n_states)][0]
        raise InputError(f"visited state {wrong} is not in 0 to {process.n_states - 1}; the process has {process.n_states} states")
    goals = process.goals()
    strange = np.setdiff1d(ends, goals)
    if strange.size:
        raise InputError(
            f"no episode of this process can end in {listed(map(process.name, strange))}; give the horizon, size and walls that the visits "
            "were made with"
        )
    marginal = np.bincount(ends, minlength=process.n_states) / len(ends)
    uniform = np.zeros(process.n_states)
    uniform[goals] = 1 / len(goals)
    times = hitting_times(marginal)[goals]
    unvisited = goals[~np.isfinite(times)]
    return Visits(
        marginal,
        len(ends),
        1 - len(unvisited) / len(goals),
        float(divergences(marginal[None], uniform)[0]),
        float(divergences(marginal[None], optimum)[0]),
        float(times.max()),
        len(ends) / RULE_OF_THREE if unvisited.size else float(times.max()),
        unvisited,
    )


def read_visits(path: Path, process: TabularProcess, size: tuple[int, int], bounds: tuple[float, float]) -> Int[np.ndarray, " n_episodes"]:
    """Return the last state of each episode from a `.npy` file, whatever of these forms it has.

    Args:
        path: Whole numbers [n_episodes] or [n_episodes, n_steps]: states, of which the last counts. Whole numbers [n_episodes, 2]: row and
            column, if the process has places. Fractions [n_episodes, 2] or [n_episodes, n_steps, 2]: x and y, laid on the grid.
        process: Whose states they are.
        size: Rows and columns of the grid.
        bounds: Least and greatest coordinate of the arena, for fractions; the greatest belongs to the last cell.

    Raises:
        InputError: The file cannot be read as an array, has another shape, or has positions outside of the bounds or in walls.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a .npy file of visited states")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path} is not a .npy array of numbers: {why_unreadable(error)}") from error
    if not isinstance(array, np.ndarray) or array.size == 0 or array.dtype.kind not in "iuf":
        raise InputError(f"{path} must be one .npy array of numbers with at least one episode; np.save writes one")
    if array.dtype.kind == "f":
        return _binned(path, array, process, size, bounds)
    if array.ndim == 2 and array.shape[1] == 2 and process.places is not None:
        return _at(path, process, array)
    if array.ndim not in (1, 2):
        raise InputError(f"{path}: whole numbers must be [n_episodes], [n_episodes, n_steps] or rows and columns [n_episodes, 2]")
    return np.asarray(array if array.ndim == 1 else array[:, -1], np.int64)


def why_unreadable(error: Exception) -> str:
    """Return why NumPy could not read a file; what is no file of its own it takes for a pickle, and advises to load that."""
    return "it was not written by NumPy, or holds objects" if "pickle" in str(error) else str(error)


def _binned(
    path: Path, array: np.ndarray, process: TabularProcess, size: tuple[int, int], bounds: tuple[float, float]
) -> Int[np.ndarray, " n_episodes"]:
    low, high = bounds
    if not low < high:
        raise InputError(f"the bounds {low} and {high} are no interval; give the least coordinate first")
    if array.ndim not in (2, 3) or array.shape[-1] != 2:
        raise InputError(f"{path}: positions must be x and y, [n_episodes, 2] or [n_episodes, n_steps, 2], not {list(array.shape)}")
    ends = array if array.ndim == 2 else array[:, -1]
    lost = int((~np.isfinite(ends)).any(1).sum())
    if lost:
        raise InputError(f"{path}: {lost} of {len(ends)} positions are not finite numbers")
    if ends.min() < low or ends.max() > high:
        raise InputError(
            f"{path}: positions go from {ends.min():.4g} to {ends.max():.4g}, outside of the bounds {low} to {high}; widen them"
        )
    share = (ends - low) / (high - low)
    column = np.minimum((share[:, 0] * size[1]).astype(np.int64), size[1] - 1)
    row = np.minimum((share[:, 1] * size[0]).astype(np.int64), size[0] - 1)
    return _at(path, process, np.stack([row, column], 1))


def _at(path: Path, process: TabularProcess, cells: np.ndarray) -> Int[np.ndarray, " n_episodes"]:
    """Return the state at each row and column."""
    assert process.places is not None
    index = {(int(row), int(column)): state for state, (row, column) in enumerate(process.places)}
    states = [index.get((int(row), int(column)), -1) for row, column in cells]
    if min(states) < 0:
        row, column = cells[states.index(-1)]
        raise InputError(
            f"{path}: an episode ended in cell {row},{column}, which is a wall or outside of the grid; "
            "whole numbers [n_episodes, 2] are read as row and column"
        )
    return np.array(states, np.int64)
