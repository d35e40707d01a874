"""Knows the encoder that is a frozen one followed by a small network, which practiced on its vectors in place of images."""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from umeta.images.embed.encoder import Encoder
from umeta.images.embed.training import StoredEncoder
from umeta.images.nets.net import Net, describe_net


def as_images(vectors: Float[Tensor, "*shape dim"]) -> Float[Tensor, "*shape dim 1 1"]:
    """Return vectors as images of one pixel with a channel for each number, which every network and learner takes."""
    return vectors[..., None, None]


def seen_by(encoder: Encoder | None, images: Float[Tensor, "n *shape"]) -> Float[Tensor, "n *out"]:
    """Return what a network behind a frozen encoder sees of images; without an encoder, the images."""
    return images if encoder is None else as_images(encoder(images))


def describe_encoder(encoder: StoredEncoder | None) -> dict[str, Any] | None:
    """Return kind and settings of an encoder, JSON-ready; None for none."""
    return None if encoder is None else {"kind": encoder.kind, "settings": encoder.describe()}


@dataclass(frozen=True)
class RefinedEncoder:
    """A frozen encoder, and the network that was trained on its vectors.

    Attributes:
        below: The frozen encoder.
        net: Sees its vectors as images of one pixel.
    """

    below: StoredEncoder
    net: Net
    kind: ClassVar[str] = "refined"

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        """Embed images with values in `[0, 1]`."""
        vectors: Tensor = self.net(seen_by(self.below, images))
        return vectors

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors of both."""
        parts = (("below.", self.below), ("net.", self.net))
        return {f"{prefix}{name}": value for prefix, part in parts for name, value in part.state_dict().items()}

    def describe(self) -> dict[str, Any]:
        """Return the description of both."""
        return {"below": describe_encoder(self.below), "net": describe_net(self.net.config)}
