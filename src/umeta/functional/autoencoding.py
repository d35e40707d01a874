"""Knows the losses of autoencoders: the adversarially constrained one, and the variational one."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def mixing_coefficients(n: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Float[Tensor, "n 1 1 1"]:
    """Draw how much of the second code goes into each mixture, uniform in `[0, 0.5]`.

    Source:
        Berthelot et al. 2018 (arXiv:1807.07543), section 2: beyond 0.5 the two codes only change names.
    """
    return torch.rand(n, 1, 1, 1, generator=generator, device=device) / 2


def acai_losses(
    images: Float[Tensor, "n c h w"],
    alpha: Float[Tensor, "n 1 1 1"],
    encode: Callable[[Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
    critic: Callable[[Tensor], Float[Tensor, " m"]],
    *,
    critic_weight: float = 0.5,
    gamma: float = 0.2,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    r"""Score an autoencoder whose interpolations must look like real reconstructions.

    The critic $d$ regresses the coefficient $\alpha$ of an interpolated reconstruction $\hat{x}_\alpha$ and 0 for a reconstruction moved
    a share $\gamma$ toward its image; the autoencoder wants the critic to say 0 of its interpolations:
    $L_f = \|x - \hat{x}\|^2 + \lambda \|d(\hat{x}_\alpha)\|^2$,
    $L_d = \|d(\hat{x}_\alpha) - \alpha\|^2 + \|d(\hat{x} + \gamma (x - \hat{x}))\|^2$.

    Args:
        images: In `[0, 1]`; each is mixed with its mirror place in the batch.
        alpha: Share of the partner's code, in `[0, 0.5]`.
        encode: Images to codes.
        decode: Codes to images.
        critic: Images to one number each.
        critic_weight: $\lambda$.
        gamma: $\gamma$.

    Returns:
        The autoencoder's loss, the critic's loss and the reconstruction error. The first sends gradients through the critic into the
        autoencoder, the second into the critic only: differentiate each by its own parameters.

    Source:
        Berthelot et al. 2018 (arXiv:1807.07543), equations 1 to 3, $\lambda = 0.5$, $\gamma = 0.2$; errors are means over pixels as in the
        authors' code.
    """
    codes = encode(images)
    reconstruction = decode(codes)
    mixture = decode(codes.lerp(codes.flip(0), alpha))
    reconstruction_error = (reconstruction - images).square().mean()
    autoencoder_loss = reconstruction_error + critic_weight * critic(mixture).square().mean()
    nearer = reconstruction.detach().lerp(images, gamma)
    guess_mixture, guess_nearer = critic(torch.cat([mixture.detach(), nearer])).chunk(2)
    critic_loss = (guess_mixture - alpha.flatten()).square().mean() + guess_nearer.square().mean()
    return autoencoder_loss, critic_loss, reconstruction_error


def vae_losses(
    images: Float[Tensor, "n c h w"],
    logits: Float[Tensor, "n c h w"],
    mean: Float[Tensor, "n dim"],
    log_variance: Float[Tensor, "n dim"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    r"""Score a variational autoencoder by the two halves of its bound, in nats per image.

    Reconstruction: the cross-entropy of brightness $x \in [0, 1]$ under log-odds, summed over pixels. Divergence of codes from the prior:
    $\frac{1}{2} \sum_d (\mu_d^2 + \sigma_d^2 - \log \sigma_d^2 - 1)$.

    Returns:
        Reconstruction and divergence, each a mean over images; gradients flow through both.

    Source:
        Kingma and Welling 2014 (arXiv:1312.6114), equations 7 and 10.
    """
    reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum") / len(images)
    divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum() / (2 * len(images))
    return reconstruction, divergence
