"""Knows what an encoder is, and how a whole pool of images goes through one in bounded memory."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.precision import mixed_precision


class Encoder(Protocol):
    """A frozen function from images to vectors; one image's vector never depends on another image."""

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        """Embed images with values in `[0, 1]`."""
        ...


def to_float(images: UInt8[Tensor, "*batch c h w"]) -> Float[Tensor, "*batch c h w"]:
    """Return images with values in `[0, 1]`."""
    return images.float() / 255


def quick(encoder: Encoder) -> Encoder:
    """Return an encoder in the precision of training: good enough to look for neighbors among many images, not to score a procedure."""

    def run(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        with mixed_precision(images.device):
            return encoder(images.contiguous(memory_format=torch.channels_last)).float()

    return run


@torch.no_grad()
def embed_all(
    encoder: Encoder,
    images: NDArray[np.uint8],
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "n dim"]:
    """Embed a pool of images, a batch at a time.

    Args:
        encoder: Maps images to vectors.
        images: Shape [n, c, h, w]; may be memory-mapped, only one batch of it is held.
        batch_size: Images per call.
        device: Where the encoder computes; the result is on the CPU.
        on_progress: Called with images done and in all.
    """
    parts = []
    for first in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.array(images[first : first + batch_size]))
        parts.append(encoder(to_float(batch.to(device))).cpu())
        if on_progress:
            on_progress(min(first + batch_size, len(images)), len(images))
    return torch.cat(parts)
