"""Knows how to learn an embedding in which images between two images look real: ACAI."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.loop import Observer, Pace, Position, train
from umeta.core.metalearner import Metrics
from umeta.core.precision import mixed_precision
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.autoencoding import acai_losses, mixing_coefficients
from umeta.images.embed.encoder import to_float
from umeta.images.nets.autoencoder import ConvDecoder, ConvEncoder


def canvas_side(side: int) -> int:
    """Return the side that the autoencoder works at: 32 for images up to 32 pixels, else 64."""
    return 32 if side <= 32 else 64


def to_canvas(images: Float[Tensor, "n c h h"]) -> Float[Tensor, "n c s s"]:
    """Pad images with zeros, centered, or shrink larger ones, to the autoencoder's side."""
    height, target = images.shape[-1], canvas_side(images.shape[-1])
    if height > target:
        return F.interpolate(images, size=(target, target), mode="bilinear", antialias=True, align_corners=False)
    before = (target - height) // 2
    after = target - height - before
    return F.pad(images, (before, after, before, after)) if before or after else images


class AcaiEncoder(nn.Module):
    """The encoder half of ACAI with its code laid out as one vector of `16 * latent` numbers."""

    def __init__(self, layers: ConvEncoder) -> None:
        super().__init__()
        self.layers = layers.eval()

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "n c h h"]) -> Float[Tensor, "n dim"]:
        """Embed images with values in `[0, 1]`."""
        canvas = to_canvas(images).contiguous(memory_format=torch.channels_last)
        out: Tensor = self.layers(canvas)
        return out.flatten(1)


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

    def init(self, channels: int, side: int, rng: Rng) -> ModuleState:
        """Return fresh networks for images of `channels` x `side` x `side`."""
        generator = rng.torch()
        n_scales = 3 if canvas_side(side) == 32 else 4
        encoder = ConvEncoder(channels, self.depth, self.latent, n_scales, generator)
        decoder = ConvDecoder(channels, self.depth, self.latent, n_scales, generator)
        critic = ConvEncoder(channels, self.depth, self.latent, n_scales, generator)
        modules = {"encoder": encoder, "decoder": decoder, "critic": critic}
        for module in modules.values():
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        autoencoder = [*encoder.parameters(), *decoder.parameters()]
        optimizers = {
            "autoencoder_adam": torch.optim.Adam(autoencoder, self.lr),
            "critic_adam": torch.optim.Adam(critic.parameters(), self.lr),
        }
        return ModuleState(modules, optimizers)

    def step(self, state: ModuleState, images: Float[Tensor, "n c h h"], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Train autoencoder and critic on one batch of images with values in `[0, 1]`."""
        encoder, decoder, critic = (state.modules[name] for name in ("encoder", "decoder", "critic"))
        canvas = to_canvas(images).contiguous(memory_format=torch.channels_last)
        alpha = mixing_coefficients(len(canvas), rng.torch(), canvas.device)
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
        losses = {"autoencoder_adam": autoencoder_loss, "critic_adam": critic_loss}
        for name, loss in losses.items():
            parameters = [p for group in state.optimizers[name].param_groups for p in group["params"]]
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.grad = gradient
        for optimizer in state.optimizers.values():
            optimizer.step()
        return state, {
            "loss": autoencoder_loss.item(),
            "reconstruction_error": error.item(),
            "critic_loss": critic_loss.item(),
        }

    def fit(
        self,
        images: NDArray[np.uint8],
        pace: Pace,
        rng: Rng,
        *,
        state: ModuleState | None = None,
        start: Position | None = None,
        observer: Observer | None = None,
    ) -> AcaiEncoder:
        """Learn an encoder from unlabeled images.

        Args:
            images: Shape [n, c, h, h]; may be memory-mapped.
            pace: When the schedule ends.
            rng: Step `i` draws its images and coefficients from `rng.fork("step", i)`.
            state: The state to go on from; None starts afresh.
            start: The position that `state` was saved at.
            observer: Watches and saves.
        """

        def step(current: ModuleState, index: int) -> tuple[ModuleState, Metrics]:
            stream = rng.fork("step", index)
            chosen = stream.fork("images").numpy().integers(len(images), size=self.batch_size)
            batch = to_float(torch.from_numpy(np.array(images[np.sort(chosen)])))
            order = torch.randperm(len(batch), generator=stream.fork("order").torch())
            return self.step(current, batch[order], stream.fork("alpha"))

        first = state or self.init(images.shape[1], images.shape[2], rng.fork("init"))
        final = train(first, step, pace, start=start, observer=observer)
        return self.encoder(final)

    def encoder(self, state: ModuleState) -> AcaiEncoder:
        """Return the encoder of a trained state."""
        module = state.modules["encoder"]
        assert isinstance(module, ConvEncoder)
        return AcaiEncoder(module)

    def describe(self, channels: int, side: int) -> dict[str, Any]:
        """Return what `restore` needs beside the tensors, JSON-ready."""
        return {"acai": asdict(self), "channels": channels, "side": side}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> AcaiEncoder:
        """Rebuild the encoder from an artifact."""
        state = cls(**info["acai"]).init(info["channels"], info["side"], Rng.from_seed(0))
        encoder = AcaiEncoder(state.modules["encoder"])  # type: ignore[arg-type]
        encoder.load_state_dict(tensors)
        return encoder
