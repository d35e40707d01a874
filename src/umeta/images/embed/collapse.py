"""Knows when a generator has collapsed, how a person is told, and how many dimensions a pool's code should have."""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.errors import DivergedError
from umeta.core.metalearner import Metrics
from umeta.functional.adversarial import variety
from umeta.images.embed.canvas import to_canvas
from umeta.images.embed.encoder import to_float

GRACE_STEPS = 200
LEAST_VARIETY = 0.05
SIMPLE_COMPONENTS = 100
SHARE_OF_VARIANCE = 0.9
LOOKED_AT = 1024


def watch_variety(name: str, real: Float[Tensor, "n c s s"], drawn: Float[Tensor, "n c s s"], index: int) -> Metrics:
    """Return how much drawn images vary, as a share of what real ones do; within an image, and between images.

    Raises:
        DivergedError: Either is below a twentieth after 200 steps.
    """
    shares = [ours / max(theirs, 1e-6) for ours, theirs in zip(variety(drawn.detach()), variety(real), strict=True)]
    for share, what in zip(shares, ("draws images of one color", "draws one and the same image"), strict=True):
        if index >= GRACE_STEPS and share < LEAST_VARIETY:
            raise DivergedError(
                f"the generator of {name} {what}: at step {index + 1} they vary {share:.1%} as much as the pool's; "
                "try another --seed, more images, or --embedding acai, which cannot collapse in this way"
            )
    return {"variety_within": shares[0], "variety_between": shares[1]}


def is_simple(images: NDArray[np.uint8]) -> bool:
    """Return whether fewer than 100 principal components hold nine tenths of the variance of the pool's pixels, as for MNIST (87).

    Args:
        images: Shape [n, c, h, h]; at most about 1024, spread over all, are looked at.
    """
    some = np.array(images[:: max(len(images) // LOOKED_AT, 1)])
    flat = to_canvas(to_float(torch.from_numpy(some))).flatten(1)
    values = torch.linalg.svdvals(flat - flat.mean(0)).square().cumsum(0)
    return bool((values < SHARE_OF_VARIANCE * values[-1]).sum() + 1 < SIMPLE_COMPONENTS)
