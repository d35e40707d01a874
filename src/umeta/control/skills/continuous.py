"""Knows how skills that are vectors are drawn evenly, and how far vectors of a batch can be told apart."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.core.rng import Rng


def evenly_in_cube(n: int, n_dim: int, rng: Rng) -> Float[Tensor, "n n_dim"]:
    r"""Return `n` points of the cube $[-1, 1]^d$: a lattice that is even for every `n`, shifted at random and in random order.

    Source:
        The additive recurrence with the root of $x^{d + 1} = x + 1$ (Roberts 2018, "The unreasonable effectiveness of quasirandom
        sequences").
    """
    generator = rng.torch()
    root = 2.0
    for _ in range(32):
        root = (1 + root) ** (1 / (n_dim + 1))
    steps = torch.tensor([root ** -(axis + 1) for axis in range(n_dim)], dtype=torch.float64)
    shift = torch.rand(n_dim, generator=generator, dtype=torch.float64)
    points: Tensor = (torch.arange(n, dtype=torch.float64)[:, None] * steps + shift) % 1
    return (2 * points - 1)[torch.randperm(n, generator=generator)].float()


def evenly_on_sphere(n: int, n_dim: int, rng: Rng) -> Float[Tensor, "n n_dim"]:
    """Return `n` directions of length 1, evenly spread as far as `n` allows."""
    gaussian: Tensor = torch.special.ndtri(((evenly_in_cube(n, n_dim, rng) + 1) / 2).clamp(1e-4, 1 - 1e-4))
    length: Tensor = gaussian.square().sum(-1, keepdim=True).sqrt()
    return gaussian / length.clamp_min(1e-6)


def told_from_batch(score: Float[Tensor, "n_task n_episode n_skill"]) -> Float[Tensor, ""]:
    r"""Return a lower bound of the information about the skill in nats, from scores of every skill of the batch for every episode.

    $\log n + E \log \mathrm{softmax}_i$, where task $i$ ran skill $i$; at most $\log n$.

    Source:
        van den Oord et al. 2018 (arXiv:1807.03748), InfoNCE.
    """
    own = torch.arange(len(score), device=score.device)[:, None, None].expand(*score.shape[:2], 1)
    return score.log_softmax(-1).gather(-1, own).mean() + math.log(len(score))
