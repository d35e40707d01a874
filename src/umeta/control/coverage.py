"""Knows how much of a state space was visited."""

from jaxtyping import Float
from torch import Tensor

from umeta.control.process import ControlledProcess
from umeta.control.trajectory import Trajectories

BINS = 20


def coverage(process: ControlledProcess, trajectories: Trajectories) -> float | None:
    """Return the share of the state space that the episodes reached.

    Two features are positions in `[-1, 1]` and are counted in 20 x 20 bins (bins inside of walls count too). Features that are one-hot are
    counted one by one. None where there is no such count.
    """
    feature = process.feature(trajectories.reached)[trajectories.alive]
    if bool(((feature == 0) | (feature == 1)).all()) and bool((feature.sum(-1) == 1).all()):
        return len(set(feature.argmax(-1).tolist())) / process.n_feature
    return len(set(bins(feature).tolist())) / BINS**2 if process.n_feature == 2 else None


def bins(feature: Float[Tensor, "n 2"]) -> Tensor:
    """Return the bin of each position, int64 [n]."""
    row, column = ((feature.clamp(-1, 1) + 1) / 2 * BINS).long().clamp_max(BINS - 1).unbind(-1)
    return row * BINS + column
