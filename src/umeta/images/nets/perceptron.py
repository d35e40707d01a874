"""Knows the small fully connected networks: between an embedding and a contrastive loss, and on embeddings in place of images."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from umeta.core.parallel import ALONE
from umeta.images.nets.conv4 import BatchNorm
from umeta.images.nets.shared import shared_linear


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


@dataclass(frozen=True)
class MlpConfig:
    """Which fully connected network on vectors.

    Attributes:
        channels: Numbers in a vector; it comes as an image of so many channels and one pixel.
        side: Of that image: 1.
        widths: Units in each layer.
        stored: Whether normalization uses stored statistics; see `BatchNorm`.
    """

    channels: int
    side: int = 1
    widths: tuple[int, ...] = (128, 64)
    stored: bool = True

    @property
    def n_dim(self) -> int:
        """Dimensions of the output."""
        return self.widths[-1]

    @property
    def together(self) -> bool:
        """Whether one vector's result depends on the others in the call."""
        return not self.stored


class Mlp(nn.Module):
    """Several times a linear map and batch normalization, with rectifiers between them.

    Args:
        config: Which one.
        generator: Draws the initial weights (He normal).

    Source:
        CACTUs' code learns on embeddings with a network of this kind (two layers of 32). Departures: wider; the last layer is not
        rectified.
    """

    def __init__(self, config: MlpConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config, self.team = config, ALONE
        sizes = list(pairwise([config.channels * config.side**2, *config.widths]))
        self.layers = nn.ModuleList(skip_init(nn.Linear, n_in, n_out, bias=False) for n_in, n_out in sizes)  # type: ignore[no-untyped-call]
        self.norms = nn.ModuleList(BatchNorm(n_out, stored=config.stored) for _, n_out in sizes)
        with torch.no_grad():
            for layer in self.layers:
                assert isinstance(layer, nn.Linear)
                layer.weight.normal_(0.0, (2 / layer.in_features) ** 0.5, generator=generator)

    def forward(self, vectors: Float[Tensor, "n c h w"], n_reference: int | None = None) -> Float[Tensor, "n dim"]:
        """Map vectors; `n_reference` as in `BatchNorm`."""
        out = vectors.flatten(1)
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            assert isinstance(layer, nn.Linear)
            out = norm(shared_linear(F.relu(out) if number else out, layer, self.team)[..., None, None], n_reference).flatten(1)
        return out
