"""Knows the small transformer that reads a support set and looks every query up in it, one query apart from the other."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init


@dataclass(frozen=True)
class ContextConfig:
    """Which transformer.

    Attributes:
        n_dim: Dimensions of the embedding that it reads.
        width: Dimensions of its tokens, a multiple of `n_heads`.
        n_layers: Layers.
        n_heads: Heads of attention.
    """

    n_dim: int
    width: int = 256
    n_layers: int = 2
    n_heads: int = 4


def _linear(n_in: int, n_out: int, generator: torch.Generator | None) -> nn.Linear:
    """Build a linear map with normal weights and zero bias, or without a generator one that gives 0."""
    linear: nn.Linear = skip_init(nn.Linear, n_in, n_out)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        nn.init.zeros_(linear.bias)
        if generator is None:
            nn.init.zeros_(linear.weight)
        else:
            linear.weight.normal_(0.0, n_in**-0.5, generator=generator)
    return linear


class _Layer(nn.Module):
    """Attention to a memory and a perceptron, each added to what was there."""

    def __init__(self, width: int, n_heads: int, generator: torch.Generator) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked = _linear(width, width, generator)
        self.offered = _linear(width, 2 * width, generator)
        self.mixed = _linear(width, width, generator)
        self.hidden, self.out = _linear(width, 2 * width, generator), _linear(2 * width, width, generator)

    def forward(self, tokens: Float[Tensor, "b n width"], memory: Float[Tensor, "b m width"]) -> Float[Tensor, "b n width"]:
        """Let each token look at the memory."""
        query = self._heads(self.asked(self.before(tokens)))
        key, value = (self._heads(part) for part in self.offered(self.before(memory)).chunk(2, -1))
        seen = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.mixed(seen.transpose(1, 2).flatten(2))
        out: Tensor = tokens + self.out(F.gelu(self.hidden(self.between(tokens))))
        return out

    def _heads(self, tokens: Tensor) -> Tensor:
        return tokens.view(*tokens.shape[:2], self.n_heads, -1).transpose(1, 2)


class ContextTransformer(nn.Module):
    """Say how each vector of a task should move, given the support set.

    Support tokens attend to each other, a query token to the support tokens of the same layer and to no other query. The last maps begin
    at zero, so an untrained one moves nothing.

    Args:
        config: Which one.
        generator: Draws the initial weights.

    Source:
        Fifty et al. 2024 (arXiv:2310.10971) and Vettoruzzo et al. 2025 (arXiv:2405.16124): tokens of an embedding joined with a label
        vector, a token that stands for "unknown" at queries. Departures: no query is in the sequence; it moves an embedding instead of
        replacing the comparison.
    """

    def __init__(self, config: ContextConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.read = _linear(config.n_dim, config.width, generator)
        self.unknown = nn.Parameter(torch.zeros(config.width))
        self.layers = nn.ModuleList(_Layer(config.width, config.n_heads, generator) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(config.width)
        self.move, self.name = _linear(config.width, config.n_dim, None), _linear(config.width, config.width, None)

    def support(
        self, vectors: Float[Tensor, "b n dim"], codes: Float[Tensor, "b n width"]
    ) -> tuple[Float[Tensor, "b layer n width"], Float[Tensor, "b n dim"]]:
        """Read a support set, each example with its class's code; returns what queries look at, and how each example moves."""
        tokens = self.read(vectors * self.config.n_dim**0.5) + codes
        memory = []
        for layer in self.layers:
            memory.append(tokens)
            tokens = layer(tokens, tokens)
        return torch.stack(memory, 1), self.move(self.norm(tokens))

    def queries(
        self, vectors: Float[Tensor, "b n dim"], memory: Float[Tensor, "b layer m width"]
    ) -> tuple[Float[Tensor, "b n dim"], Float[Tensor, "b n width"]]:
        """Look queries up; returns how each moves, and the code of the class that it takes it for."""
        tokens = self.read(vectors * self.config.n_dim**0.5) + self.unknown
        for layer, seen in zip(self.layers, memory.unbind(1), strict=True):
            tokens = layer(tokens, seen)
        tokens = self.norm(tokens)
        return self.move(tokens), self.name(tokens)
