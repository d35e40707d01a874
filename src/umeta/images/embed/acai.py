"""Knows how to learn an embedding in which images between two images look real: ACAI."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from umeta.core.metalearner import Metrics
from umeta.core.precision import mixed_precision
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.autoencoding import acai_losses, mixing_coefficients
from umeta.images.embed.canvas import n_scales, to_canvas
from umeta.images.embed.training import descend, draw_batch
from umeta.images.nets.autoencoder import ConvDecoder, ConvEncoder

N_ROWS, N_BETWEEN = 8, 8


class AcaiEncoder(nn.Module):
    """The encoder half of ACAI with its code laid out as one vector of `16 * latent` numbers.

    Args:
        channels: Of the images.
        side: Of the images, in pixels.
        depth: As of `Acai`.
        latent: As of `Acai`.
        generator: Draws the initial weights.
    """

    kind: ClassVar[str] = "acai"

    def __init__(self, channels: int, side: int, depth: int, latent: int, generator: torch.Generator) -> None:
        super().__init__()
        self._settings = {"acai": {"depth": depth, "latent": latent}, "channels": channels, "side": side}
        self.layers = ConvEncoder(channels, depth, latent, n_scales(side), generator)

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "n c h h"]) -> Float[Tensor, "n dim"]:
        """Embed images with values in `[0, 1]`."""
        out: Tensor = self.layers(to_canvas(images))
        return out.flatten(1)

    def describe(self) -> dict[str, Any]:
        """Return what `restore` needs beside the tensors, JSON-ready."""
        return self._settings

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "AcaiEncoder":
        """Rebuild the encoder from an artifact."""
        encoder = cls(info["channels"], info["side"], info["acai"]["depth"], info["acai"]["latent"], torch.Generator())
        encoder.load_state_dict(tensors)
        return encoder.eval().requires_grad_(False)


@dataclass(frozen=True)
class Acai:
    """Adversarially constrained autoencoder interpolation, the embedding of CACTUs' Omniglot results.

    Attributes:
        depth: Channels at full resolution; doubled at each of 3 scales (4 for sides over 32).
        latent: Channels of the 4 x 4 code; 16 gives the paper's 256 dimensions.
        critic_weight: lambda, the pull of the critic on the autoencoder.
        gamma: How far a reconstruction is moved toward its image for the critic's second term.
        batch_size: Images per step.
        lr: Adam's first learning rate; it follows half a cosine to 0.

    Source:
        Berthelot et al. 2018 (arXiv:1807.07543). Departures: depth 16 instead of 64 and a learning rate of 3e-4 that is annealed instead
        of a constant 1e-4, for minutes instead of days on a processor.
    """

    depth: int = 16
    latent: int = 16
    critic_weight: float = 0.5
    gamma: float = 0.2
    batch_size: int = 64
    lr: float = 3e-4
    shown: ClassVar[str] = "reconstruction_error"

    def init(self, images: NDArray[np.uint8], rng: Rng) -> ModuleState:
        """Return fresh networks for the images of a pool."""
        _, channels, side, _ = images.shape
        generator, shape = rng.torch(), (channels, self.depth, self.latent, n_scales(side))
        encoder = ConvEncoder(*shape, generator)
        decoder = ConvDecoder(*shape, generator)
        critic = ConvEncoder(*shape, generator)
        modules = {"encoder": encoder, "decoder": decoder, "critic": critic}
        for module in modules.values():
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        autoencoder = [*encoder.parameters(), *decoder.parameters()]
        optimizers = {
            "autoencoder_adam": torch.optim.Adam(autoencoder, self.lr),
            "critic_adam": torch.optim.Adam(critic.parameters(), self.lr),
        }
        return ModuleState(modules, optimizers)

    def step(self, state: ModuleState, images: NDArray[np.uint8], index: int, rng: Rng) -> tuple[ModuleState, Metrics]:
        """Train autoencoder and critic on one batch."""
        encoder, decoder, critic = (state.modules[name] for name in ("encoder", "decoder", "critic"))
        canvas = to_canvas(draw_batch(images, self.batch_size, rng))
        alpha = mixing_coefficients(len(canvas), rng.fork("alpha").torch(), canvas.device)
        with mixed_precision(canvas.device):
            autoencoder_loss, critic_loss, error = acai_losses(
                canvas,
                alpha,
                lambda x: encoder(x).float(),
                lambda x: decoder(x).float(),
                lambda x: critic(x).float().mean((1, 2, 3)),
                critic_weight=self.critic_weight,
                gamma=self.gamma,
            )
        descend(state, {"autoencoder_adam": autoencoder_loss, "critic_adam": critic_loss})
        return state, {
            "loss": autoencoder_loss.item(),
            "reconstruction_error": error.item(),
            "critic_loss": critic_loss.item(),
        }

    def encoder(self, state: ModuleState, images: NDArray[np.uint8]) -> AcaiEncoder:
        """Return the encoder of a trained state."""
        settings = {"acai": {"depth": self.depth, "latent": self.latent}, "channels": images.shape[1], "side": images.shape[2]}
        layers = {f"layers.{key}": value for key, value in state.modules["encoder"].state_dict().items()}
        return AcaiEncoder.restore(settings, layers)

    @torch.no_grad()
    def picture(self, state: ModuleState, images: NDArray[np.uint8], rng: Rng) -> Float[Tensor, "rows columns c h w"]:
        """Return a row per pair of images: the first, both reconstructions with 6 interpolations between them, and the second."""
        encoder, decoder = state.modules["encoder"], state.modules["decoder"]
        canvas = to_canvas(draw_batch(images, 2 * N_ROWS, rng))
        first, second = canvas.chunk(2)
        between = torch.linspace(0, 1, N_BETWEEN).view(-1, 1, 1, 1)
        codes = encoder(canvas)
        drawn = [decoder(a.lerp(b, between)) for a, b in zip(*codes.chunk(2), strict=True)]
        return torch.cat([first[:, None], torch.stack(drawn), second[:, None]], 1).clamp(0, 1)
