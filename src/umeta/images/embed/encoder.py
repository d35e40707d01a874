"""Knows what an encoder is, and how a whole pool of images goes through one in bounded memory."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.hands import Hands, Part, cut, in_turn
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
    return partial(_quickly, encoder)


def _quickly(encoder: Encoder, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
    with mixed_precision(images.device):
        return encoder(images.contiguous(memory_format=torch.channels_last)).float()


def embed_all(
    encoder: Encoder,
    images: NDArray[np.uint8],
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
    by: Hands = in_turn,
) -> Float[Tensor, "n dim"]:
    """Embed a pool of images, a batch at a time.

    Args:
        encoder: Maps images to vectors.
        images: Shape [n, c, h, w]; may be memory-mapped, only one batch of it is held.
        batch_size: Images per call.
        device: Where the encoder computes; the result is on the CPU.
        on_progress: Called with images done and in all.
        by: Who embeds; with as many threads each, the result is the same.
    """
    parts = cut(len(images), batch_size)
    matrix = torch.empty(0)
    for part, rows in zip(parts, by(_Embedding(encoder, images, torch.device(device)), parts), strict=True):
        if not len(matrix):
            matrix = rows.new_empty(len(images), *rows.shape[1:])
        matrix[part.start : part.stop] = rows
        if on_progress:
            on_progress(part.stop, len(images))
    return matrix


@dataclass(frozen=True)
class _Embedding:
    """The work on one batch; taken to another process, it opens a memory-mapped file again instead of carrying its content."""

    encoder: Encoder
    images: NDArray[np.uint8]
    device: torch.device

    @torch.no_grad()
    def __call__(self, part: Part) -> Tensor:
        batch = torch.from_numpy(np.array(self.images[part[0] : part[-1] + 1]))
        return self.encoder(to_float(batch.to(self.device))).cpu()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.encoder, *_how_to_reopen(self.images), self.device)


def _how_to_reopen(images: NDArray[np.uint8]) -> tuple[Any, ...]:
    if isinstance(images, np.memmap) and not isinstance(images.base, np.ndarray):  # a part of one has an array for its base
        return images.filename, images.offset, images.shape
    return images, 0, ()


def _reopened(encoder: Encoder, images: Any, offset: int, shape: tuple[int, ...], device: torch.device) -> _Embedding:
    return _Embedding(encoder, np.memmap(images, np.uint8, "r", offset, shape) if shape else images, device)
