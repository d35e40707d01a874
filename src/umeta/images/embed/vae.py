"""Knows how to learn codes that can be moved a little and still be drawn: a variational autoencoder."""

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
from umeta.functional.autoencoding import vae_losses
from umeta.images.embed.canvas import n_scales, to_canvas
from umeta.images.embed.encoder import to_float
from umeta.images.nets.autoencoder import ConvDecoder, ConvEncoder

CODE_SIDE = 4
FIRST_LOG_VARIANCE = -4.0
N_ROWS, N_NEAR = 8, 6


class VaeEncoder(nn.Module):
    """Both halves of a variational autoencoder: a convolutional network and a linear layer each way.

    As an encoder it gives the mean of an image's code; `decode` draws codes.

    Args:
        channels: Of the images.
        side: Of the images, in pixels.
        n_dim: As of `Vae`.
        depth: As of `Vae`.
        width: As of `Vae`.
        generator: Draws the initial weights.
    """

    kind: ClassVar[str] = "vae"

    def __init__(self, channels: int, side: int, n_dim: int, depth: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self._settings = {"channels": channels, "side": side, "n_dim": n_dim, "depth": depth, "width": width}
        self.side = side
        scales = n_scales(side)
        n_code = width * CODE_SIDE**2
        self.encoder = ConvEncoder(channels, depth, width, scales, generator)
        self.to_code = _linear(n_code, 2 * n_dim, generator)
        with torch.no_grad():
            # Codes begin with little noise; otherwise the decoder first learns to do without them.
            self.to_code.bias[n_dim:] = FIRST_LOG_VARIANCE
        self.from_code = _linear(n_dim, n_code, generator)
        self.decoder = ConvDecoder(channels, depth, width, scales, generator)

    def distribution(self, images: Float[Tensor, "n c h h"]) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
        """Return mean and log-variance of each image's code."""
        canvas = to_canvas(images).contiguous(memory_format=torch.channels_last)
        mean, log_variance = self.to_code(self.encoder(canvas).flatten(1)).chunk(2, -1)
        return mean, log_variance

    def pixel_logits(self, codes: Float[Tensor, "n dim"]) -> Float[Tensor, "n c s s"]:
        """Return the log-odds of brightness at every pixel of the autoencoder's canvas."""
        square = self.from_code(codes).view(len(codes), -1, CODE_SIDE, CODE_SIDE).contiguous(memory_format=torch.channels_last)
        out: Tensor = self.decoder(square)
        return out

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "n c h h"]) -> Float[Tensor, "n dim"]:
        """Embed images with values in `[0, 1]`."""
        return self.distribution(images)[0]

    @torch.no_grad()
    def decode(self, codes: Float[Tensor, "n dim"]) -> Float[Tensor, "n c h h"]:
        """Draw codes as images of the side that was learned from, values in `[0, 1]`."""
        canvas = self.pixel_logits(codes).float().sigmoid()
        have = canvas.shape[-1]
        if have < self.side:
            return nn.functional.interpolate(canvas, size=(self.side, self.side), mode="bilinear", align_corners=False)
        before = (have - self.side) // 2
        return canvas[..., before : before + self.side, before : before + self.side]

    def describe(self) -> dict[str, Any]:
        """Return what `restore` needs beside the tensors, JSON-ready."""
        return self._settings

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "VaeEncoder":
        """Rebuild the network from an artifact."""
        net = cls(**info, generator=torch.Generator())
        net.load_state_dict(tensors)
        return net.eval().requires_grad_(False)


@dataclass(frozen=True)
class Vae:
    r"""A variational autoencoder whose decoder says how bright each pixel is.

    Attributes:
        n_dim: Dimensions of the code.
        depth: Channels at full resolution; doubled at each scale.
        width: Channels of the 4 x 4 grid between the convolutions and the code.
        kl_weight: $\beta$, the weight of the divergence from the prior.
        batch_size: Images per step.
        lr: Adam's first learning rate; it follows half a cosine to 0.

    Source:
        Kingma and Welling 2014 (arXiv:1312.6114), as LASIUM has it (Khodadadeh et al. 2021, arXiv:2006.10236). Departures: the
        convolutions of ACAI's autoencoder, 32 dimensions instead of 20, and minutes instead of 1000 epochs.
    """

    n_dim: int = 32
    depth: int = 16
    width: int = 32
    kl_weight: float = 1.0
    batch_size: int = 64
    lr: float = 1e-3

    shown: ClassVar[str] = "reconstruction_error"

    def init(self, images: NDArray[np.uint8], rng: Rng) -> ModuleState:
        """Return a fresh network for the images of a pool, shape [n, c, h, h]."""
        net = VaeEncoder(images.shape[1], images.shape[2], self.n_dim, self.depth, self.width, rng.torch())
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return ModuleState({"vae": net}, {"adam": torch.optim.Adam(net.parameters(), self.lr)})

    def step(self, state: ModuleState, images: NDArray[np.uint8], index: int, rng: Rng) -> tuple[ModuleState, Metrics]:
        """Take step `index` on images drawn from the pool."""
        net, optimizer = state.modules["vae"], state.optimizers["adam"]
        assert isinstance(net, VaeEncoder)
        chosen = np.sort(rng.fork("images").numpy().integers(len(images), size=self.batch_size))
        batch = to_float(torch.from_numpy(np.array(images[chosen])))
        with mixed_precision(batch.device):
            mean, log_variance = (part.float() for part in net.distribution(batch))
            noise = torch.randn(mean.shape, generator=rng.fork("noise").torch())
            logits = net.pixel_logits(mean + noise * (log_variance / 2).exp()).float()
        error, divergence = vae_losses(to_canvas(batch), logits, mean, log_variance)
        loss = error + self.kl_weight * divergence
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return state, {"loss": loss.item(), "reconstruction_error": error.item(), "divergence": divergence.item()}

    def encoder(self, state: ModuleState, images: NDArray[np.uint8]) -> VaeEncoder:
        """Return a copy of the network of a trained state."""
        net = state.modules["vae"]
        assert isinstance(net, VaeEncoder)
        return VaeEncoder.restore(net.describe(), net.state_dict())

    @torch.no_grad()
    def picture(self, state: ModuleState, images: NDArray[np.uint8], rng: Rng) -> Float[Tensor, "rows columns c h h"]:
        """Return a row per image: the image, its reconstruction, and 6 images drawn from near its code."""
        net = self.encoder(state, images)
        chosen = np.sort(rng.fork("images").numpy().integers(len(images), size=N_ROWS))
        batch = to_float(torch.from_numpy(np.array(images[chosen])))
        moves = torch.randn(N_NEAR + 1, N_ROWS, self.n_dim, generator=rng.fork("near").torch()) / 2
        moves[0] = 0
        drawn = [net.decode(net(batch) + move) for move in moves]
        return torch.stack([batch, *drawn], 1)


def _linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        nn.init.normal_(layer.weight, std=n_in**-0.5, generator=generator)
        nn.init.zeros_(layer.bias)
    return layer
