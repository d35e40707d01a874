"""Knows the encoder that the network of an earlier run is, so that another run can cluster what that one learned to see."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.errors import InputError
from umeta.images.embed.deepcluster import components_of_pool
from umeta.images.learners.classifier import restored
from umeta.images.nets.net import Net, describe_net, rebuilt, restore_net


class LearnedEncoder(nn.Module):
    """A frozen network that practiced, its directions' principal components brought nearer to equal variance, at length 1.

    Args:
        net: Whose result for an image does not depend on others.
        mean: Of its directions over a pool.
        projection: See `components`.
    """

    kind: ClassVar[str] = "learned"
    mean: Tensor
    projection: Tensor

    def __init__(self, net: Net, mean: Float[Tensor, " d"], projection: Float[Tensor, "d m"]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", mean)
        self.register_buffer("projection", projection)

    @classmethod
    def of_run(cls, net: object, images: NDArray[np.uint8], run: Path) -> "LearnedEncoder":
        """Return the encoder of a run's network, its components those of at most 32,768 images of a pool.

        Raises:
            InputError: The run has no network that sees one image at a time.
        """
        if not isinstance(net, Net) or net.config.together:
            raise InputError(f"{run} has no embedding, and no network that sees one image at a time; give a run of ProtoNets, say default")
        return cls(net, *components_of_pool(lambda batch: directions(net, batch), images)).eval().requires_grad_(False)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n m"]:
        """Embed images with values in `[0, 1]`."""
        return F.normalize((directions(self.net, images) - self.mean) @ self.projection, dim=1)

    def describe(self) -> dict[str, Any]:
        """Return what `restore` needs beside the tensors, JSON-ready."""
        return {"net": describe_net(self.net.config)}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "LearnedEncoder":
        """Rebuild the encoder from an artifact."""
        net = rebuilt(restore_net(info["net"]), restored(tensors, "net."))
        return cls(net, tensors["mean"], tensors["projection"]).eval().requires_grad_(False)


def directions(net: Net, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Return a network's vectors at length 1."""
    return F.normalize(net(images).float(), dim=1)
