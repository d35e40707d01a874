"""Knows how raw pixels become an embedding: contrast normalization and whitening."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.images.embed.encoder import to_float

MAX_SIDE = 32


def flatten_pixels(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
    """Embed images as their own pixels, the plainest baseline there is."""
    return images.flatten(1)


def contrast_normalized(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
    """Subtract each image's mean and divide by its spread, `(x - mean) / sqrt(var + 10)` on the scale of 0 to 255.

    Sides over 32 pixels are shrunk to 32 first, since whitening needs a matrix of dimensions squared.
    """
    if images.shape[-1] > MAX_SIDE:
        images = F.interpolate(images, size=(MAX_SIDE, MAX_SIDE), mode="bilinear", antialias=True, align_corners=False)
    flat = images.flatten(1) * 255
    return (flat - flat.mean(1, keepdim=True)) / (flat.var(1, unbiased=False, keepdim=True) + 10).sqrt()


class PixelsZca(nn.Module):
    """Contrast-normalized pixels, whitened so that neighboring pixels no longer say the same twice.

    Attributes:
        mean: Shape [dim].
        whitening: Shape [dim, dim], symmetric.

    Source:
        Coates and Ng 2012, "Learning feature representations with k-means", as in CACTUs' pixel baseline (epsilon 1e-5). Departure: images
        over 32 pixels are shrunk.
    """

    kind: ClassVar[str] = "pixels"

    def __init__(self, n_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_dim))
        self.register_buffer("whitening", torch.eye(n_dim))

    @classmethod
    def fit(cls, images: NDArray[np.uint8], *, whiten: bool = True, batch_size: int = 2048, epsilon: float = 1e-5) -> "PixelsZca":
        """Estimate mean and covariance over a pool of images [n, c, h, w], a batch at a time.

        Without `whiten`, mean 0 and the identity are kept: contrast normalization alone, better for clean drawings, whose rare pixels
        whitening makes loud.
        """
        if not whiten:
            return cls(contrast_normalized(to_float(torch.from_numpy(np.array(images[:1])))).shape[1])
        total: Tensor | None = None
        outer: Tensor | None = None
        for first in range(0, len(images), batch_size):
            batch = to_float(torch.from_numpy(np.array(images[first : first + batch_size])))
            flat = contrast_normalized(batch).double()
            total = flat.sum(0) if total is None else total + flat.sum(0)
            outer = flat.T @ flat if outer is None else outer + flat.T @ flat
        assert total is not None and outer is not None
        mean = total / len(images)
        values, vectors = torch.linalg.eigh(outer / len(images) - torch.outer(mean, mean))
        encoder = cls(len(mean))
        encoder.mean = mean.float()
        encoder.whitening = ((vectors / (values.clamp_min(0) + epsilon).sqrt()) @ vectors.T).float()
        return encoder

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        """Embed images with values in `[0, 1]`."""
        assert isinstance(self.mean, Tensor) and isinstance(self.whitening, Tensor)
        return (contrast_normalized(images) - self.mean) @ self.whitening

    def describe(self) -> dict[str, Any]:
        """Return what `restore` needs beside the tensors, JSON-ready."""
        return {"n_dim": len(self.mean)}  # type: ignore[arg-type]

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "PixelsZca":
        """Rebuild the encoder from an artifact."""
        encoder = cls(info["n_dim"])
        encoder.load_state_dict(tensors)
        return encoder
