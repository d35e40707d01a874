"""Knows the small fully connected network that contrastive methods put between an embedding and its loss."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from umeta.images.nets.conv4 import BatchNorm


class Perceptron(nn.Module):
    """A linear map, batch normalization, a rectifier, and a second linear map.

    Args:
        n_in: Dimensions of the input.
        n_hidden: Dimensions between the two maps.
        n_out: Dimensions of the output.
        generator: Draws the initial weights (He normal).
        normalized: Whether the output is batch-normalized too, without learned scale or shift.

    Source:
        Projector and predictor of Jang et al. 2023 (arXiv:2303.00996).
    """

    def __init__(self, n_in: int, n_hidden: int, n_out: int, generator: torch.Generator, *, normalized: bool) -> None:
        super().__init__()
        self.sizes = (n_in, n_hidden, n_out)
        self.first: nn.Linear = skip_init(nn.Linear, n_in, n_hidden, bias=False)  # type: ignore[no-untyped-call]
        self.second: nn.Linear = skip_init(nn.Linear, n_hidden, n_out, bias=False)  # type: ignore[no-untyped-call]
        self.norm = BatchNorm(n_hidden, stored=True)
        self.last = BatchNorm(n_out, stored=True, scale=False) if normalized else None
        if self.last is not None:
            self.last.bias.requires_grad_(False)
        with torch.no_grad():
            for linear, fan_in in ((self.first, n_in), (self.second, n_hidden)):
                linear.weight.normal_(0.0, (2 / fan_in) ** 0.5, generator=generator)

    def forward(self, vectors: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """Map vectors; in training mode with the batch's statistics, in evaluation mode with stored ones."""
        out: Tensor = self.second(F.relu(_as_images(self.norm, self.first(vectors))))
        return out if self.last is None else _as_images(self.last, out)


def _as_images(norm: BatchNorm, vectors: Tensor) -> Tensor:
    out: Tensor = norm(vectors[..., None, None])
    return out.flatten(1)
