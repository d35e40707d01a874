"""Knows which of the states that skills pass make tasks: places spread over the way, not over the time spent there."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.control.process import ControlledProcess
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng

N_PLACES = 256
GOLDEN = (math.sqrt(5) - 1) / 2


@torch.no_grad()
def places_passed(
    process: ControlledProcess, trajectories: Trajectories, represented: Callable[[Tensor], Tensor]
) -> Float[Tensor, "n_place n_feature"]:
    """Return features of states that episodes pass, evenly spread over the way from their first state to the one furthest from it.

    Spread over time they would be those where skills end, which they reach soon and do not leave.

    Args:
        process: Has the features.
        trajectories: Of the skills.
        represented: Maps features to where the way is measured.
    """
    seen = torch.cat([trajectories.observation[:, :, :1], trajectories.reached], 2)
    feature = process.feature(seen).flatten(0, 1)
    chosen = torch.linspace(0, len(feature) - 1, N_PLACES, device=feature.device).round().long()
    share = (torch.arange(N_PLACES, device=feature.device) * GOLDEN) % 1
    way = represented(feature[chosen])
    far = (way - way[:, :1]).norm(dim=-1)
    first = (far >= share[:, None] * far.amax(-1, keepdim=True)).int().argmax(-1)
    return feature[chosen, first]


def draw_places(passed: Float[Tensor, "n_place n_feature"], n: int, rng: Rng) -> Float[Tensor, "n n_feature"]:
    """Return `n` of the places kept, each as probable as the others."""
    return passed[torch.randint(len(passed), (n,), generator=rng.torch())]
