"""Knows the losses of two networks that play against each other, and when what is generated has lost all variety."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def discriminator_loss(real: Float[Tensor, " n"], fake: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    r"""Score a discriminator that should give high logits to real and low ones to generated things: $-E \log D - E \log (1 - D)$.

    In nats, without the factor 1/2; $2 \log 2$ at chance.

    Source:
        Goodfellow et al. 2014 (arXiv:1406.2661), equation 1.

    Example:
        >>> discriminator_loss(torch.zeros(1), torch.zeros(1))
        tensor(1.3863)
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def deception_loss(taken_for_real: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    r"""Score a generator by how real its things are taken to be, $-E \log D$; its gradient does not fade where the discriminator wins.

    Source:
        Goodfellow et al. 2014 (arXiv:1406.2661), section 3. Minus the logits it scores an encoder, whose real pairs should be taken for
        generated ones (Donahue et al. 2017, arXiv:1605.09782, section 3.4, "inverse objective").
    """
    return F.softplus(-taken_for_real).mean()


def information_loss(
    logits: Float[Tensor, "n n_codes n_values"],
    codes: Int[Tensor, "n n_codes"],
    means: Float[Tensor, "n n_continuous"],
    values: Float[Tensor, "n n_continuous"],
    continuous_weight: float = 0.1,
) -> Float[Tensor, ""]:
    r"""Score how well the codes of an image can be read off it: $-E \log Q(c \mid G(z, c))$ up to a constant, summed over codes.

    Categorical codes by their log-probability; continuous ones by a Gaussian of standard deviation 1 around the predicted mean.

    Source:
        Chen et al. 2016 (arXiv:1606.03657), equation 4. Departure: the standard deviation is fixed.

    Example:
        >>> information_loss(torch.zeros(1, 1, 4), torch.tensor([[2]]), torch.zeros(1, 1), torch.zeros(1, 1))
        tensor(1.3863)
    """
    categorical = F.cross_entropy(logits.flatten(0, 1), codes.flatten()) * codes.shape[1]
    continuous = (means - values).square().sum(1).mean() / 2
    return categorical + continuous_weight * continuous


def variety(images: Float[Tensor, "n c h w"]) -> tuple[float, float]:
    """Return how much images vary: the mean standard deviation within an image, and that of a pixel between images.

    An image of one color has none of the first; images that are all the same have none of the second.

    Example:
        >>> variety(torch.tensor([[[[0.0, 2.0]]], [[[0.0, 2.0]]]]))
        (1.0, 0.0)
    """
    within = images.flatten(1).var(1, unbiased=False).mean().item()
    between = images.var(0, unbiased=False).mean().item()
    return math.sqrt(within), math.sqrt(between)


def uniform_noise(n: int, dim: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Float[Tensor, "n dim"]:
    """Draw noise in `[-1, 1)`."""
    return torch.rand(n, dim, generator=generator, device=device) * 2 - 1
