"""Knows how views of an image are drawn from the neighborhood of its code, where a decoder can draw codes."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.core.rng import Rng
from umeta.images.embed.vae import VaeEncoder


@dataclass(frozen=True)
class LatentViews:
    r"""Draw new images of the kind of each image: encode it, move the code $z$ a little, and decode.

    An augmentation, so that tasks on images become tasks on generated images.

    Attributes:
        autoencoder: What encodes and decodes.
        move: "noise": $z' = z + a \epsilon$ with $\epsilon \sim N(0, I)$. "mix": $z' = z + a (z_j - z)$ with another image's code $z_j$.
        amount: $a$; None takes 0.5 for noise and 0.2 for mixes.

    Source:
        Khodadadeh et al. 2021, LASIUM (arXiv:2006.10236), section 3: LASIUM-N and LASIUM-RO. Departure: RO moves toward the code of an
        image instead of one drawn from the prior, so that its end is always near to images.
    """

    autoencoder: VaeEncoder
    move: Literal["noise", "mix"] = "noise"
    amount: float | None = None

    def __call__(self, images: Float[Tensor, "n c h h"], rng: Rng) -> Float[Tensor, "n c h h"]:
        """Return one generated image for each, values in `[0, 1]`."""
        codes = self.autoencoder(images)
        if self.move == "noise":
            amount = 0.5 if self.amount is None else self.amount
            return self.autoencoder.decode(codes + amount * torch.randn(codes.shape, generator=rng.torch()).to(codes.device))
        amount = 0.2 if self.amount is None else self.amount
        n = len(codes)
        # An offset of 1 to n - 1 never meets the image itself; a batch of one has no other.
        apart = torch.randint(1, max(n, 2), (n,), generator=rng.torch())
        return self.autoencoder.decode(codes.lerp(codes[(torch.arange(n) + apart) % n], amount))
