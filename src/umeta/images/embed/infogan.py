"""Knows how to learn codes that can be read off the images drawn from them: InfoGAN."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.metalearner import Metrics
from umeta.core.precision import mixed_precision
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.adversarial import deception_loss, discriminator_loss, information_loss, uniform_noise
from umeta.images.embed.bigan import n_code
from umeta.images.embed.canvas import n_scales, to_canvas
from umeta.images.embed.collapse import is_simple, watch_variety
from umeta.images.embed.training import descend, draw_batch
from umeta.images.nets.adversary import LEAK, Generator, Judge, linear

N_HIDDEN = 128
N_VALUES = 10
N_SHOWN = 12


class InfoganEncoder(nn.Module):
    """What InfoGAN reads off an image: the logits of its categorical codes and the means of its continuous ones.

    Args:
        channels: Of the images.
        side: Of the images, in pixels.
        n_codes: Categorical codes of 10 values.
        n_continuous: Continuous codes.
        width: As of `Infogan`.
        generator: Draws the initial weights.
    """

    kind: ClassVar[str] = "infogan"

    def __init__(self, channels: int, side: int, n_codes: int, n_continuous: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.n_codes, self.n_continuous = n_codes, n_continuous
        self._settings = {"channels": channels, "side": side, "n_codes": n_codes, "n_continuous": n_continuous, "width": width}
        self.trunk = Judge(channels, width, n_scales(side), generator)
        self.hidden = linear(self.trunk.n_dim, N_HIDDEN, generator)
        self.read = linear(N_HIDDEN, n_codes * N_VALUES + n_continuous, generator)

    def forward(self, images: Float[Tensor, "n c h h"]) -> Float[Tensor, "n dim"]:
        """Embed images with values in `[0, 1]`."""
        return self.reading(self.trunk(to_canvas(images)))

    def reading(self, features: Float[Tensor, "n features"]) -> Float[Tensor, "n dim"]:
        """Read codes off the trunk's features."""
        read: Tensor = self.read(F.leaky_relu(self.hidden(features), LEAK))
        return read.float()

    def divided(self, read: Float[Tensor, "n dim"]) -> tuple[Float[Tensor, "n n_codes n_values"], Float[Tensor, "n n_continuous"]]:
        """Return logits of categorical codes and means of continuous ones."""
        n = self.n_codes * N_VALUES
        return read[:, :n].view(-1, self.n_codes, N_VALUES), read[:, n:]

    def describe(self) -> dict[str, Any]:
        """Return what `restore` needs beside the tensors, JSON-ready."""
        return self._settings

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "InfoganEncoder":
        """Rebuild the encoder from an artifact."""
        encoder = cls(**info, generator=torch.Generator())
        encoder.load_state_dict(tensors)
        return encoder.eval().requires_grad_(False)


@dataclass(frozen=True)
class Infogan:
    """Information-maximizing generative adversarial network; its embedding is what is read of the codes.

    Attributes:
        n_codes: Categorical codes of 10 values; None takes 1 for pools as simple as MNIST (see `is_simple`) and 10 for others.
        n_continuous: Continuous codes, uniform in `[-1, 1]`; None takes 2 or 4 likewise.
        n_noise: Dimensions that are not to be read.
        information_weight: lambda.
        width: Channels at half resolution; doubled at each further scale.
        batch_size: Images per step.
        lr: Of the discriminator's Adam; the generator's is five times as large. Both follow half a cosine to 0.

    Source:
        Chen et al. 2016 (arXiv:1606.03657), equation 6 and appendix C: the codes of MNIST (1 of 10 values, 2 continuous) or of CelebA (10
        of 10 values), lambda 1, learning rates 2e-4 and 1e-3. Departures: 4 continuous codes beside the 10, a fixed spread of continuous
        codes, DCGAN's layers at a width of 32, annealed learning rates.
    """

    n_codes: int | None = None
    n_continuous: int | None = None
    n_noise: int = 62
    information_weight: float = 1.0
    width: int = 32
    batch_size: int = 64
    lr: float = 2e-4
    shown: ClassVar[str] = "information_loss"

    def init(self, images: NDArray[np.uint8], rng: Rng) -> ModuleState:
        """Return fresh networks for the images of a pool."""
        _, channels, side, _ = images.shape
        simple, generator = is_simple(images), rng.torch()
        n_codes = self.n_codes or (1 if simple else 10)
        n_continuous = (2 if simple else 4) if self.n_continuous is None else self.n_continuous
        reader = InfoganEncoder(channels, side, n_codes, n_continuous, self.width, generator)
        n_input = n_codes * N_VALUES + n_continuous + self.n_noise
        modules: dict[str, nn.Module] = {
            "reader": reader,
            "verdict": linear(reader.trunk.n_dim, 1, generator),
            "generator": Generator(n_input, channels, self.width, n_scales(side), generator),
        }
        for module in modules.values():
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        judging = [*reader.parameters(), *modules["verdict"].parameters()]
        optimizers: dict[str, torch.optim.Optimizer] = {
            "generator_adam": torch.optim.Adam(modules["generator"].parameters(), 5 * self.lr, (0.5, 0.999)),
            "discriminator_adam": torch.optim.Adam(judging, self.lr, (0.5, 0.999)),
        }
        return ModuleState(modules, optimizers)

    def step(self, state: ModuleState, images: NDArray[np.uint8], index: int, rng: Rng) -> tuple[ModuleState, Metrics]:
        """Train generator, discriminator and reader on one batch."""
        reader, verdict, generator = (state.modules[name].train() for name in ("reader", "verdict", "generator"))
        assert isinstance(reader, InfoganEncoder)
        real = to_canvas(draw_batch(images, self.batch_size, rng))
        source, codes, values = self._codes(state, len(real), rng.fork("codes"))
        with mixed_precision(real.device):
            drawn = generator(source)
            seen = reader.trunk(drawn)
            real_logits, drawn_logits = verdict(reader.trunk(real))[:, 0].float(), verdict(seen)[:, 0].float()
            read = reader.reading(seen)
        logits, means = reader.divided(read)
        told = self.information_weight * information_loss(logits, codes, means, values)
        judged = discriminator_loss(real_logits, drawn_logits)
        fooled = deception_loss(drawn_logits)
        descend(state, {"generator_adam": fooled + told, "discriminator_adam": judged + told})
        varied = watch_variety("infogan", real, drawn, index)
        losses = {"loss": (fooled + told).item(), "discriminator_loss": judged.item(), "information_loss": told.item()}
        return state, losses | dict(varied)

    def _codes(self, state: ModuleState, n: int, rng: Rng) -> tuple[Tensor, Int[Tensor, "n n_codes"], Float[Tensor, "n n_continuous"]]:
        """Draw the generator's input, and what of it should be read."""
        reader = state.modules["reader"]
        assert isinstance(reader, InfoganEncoder)
        codes = torch.randint(N_VALUES, (n, reader.n_codes), generator=rng.fork("categorical").torch())
        values = uniform_noise(n, reader.n_continuous, rng.fork("continuous").torch())
        return self._input(state, codes, values, rng), codes, values

    def _input(self, state: ModuleState, codes: Tensor, values: Tensor, rng: Rng) -> Float[Tensor, "n dim"]:
        one_hot = F.one_hot(codes, N_VALUES).flatten(1).float()
        n_noise = n_code(state) - one_hot.shape[1] - values.shape[1]
        return torch.cat([one_hot, values, uniform_noise(len(codes), n_noise, rng.fork("noise").torch())], 1)

    def encoder(self, state: ModuleState, images: NDArray[np.uint8]) -> InfoganEncoder:
        """Return a copy of the reader of a trained state."""
        reader = state.modules["reader"]
        assert isinstance(reader, InfoganEncoder)
        return InfoganEncoder.restore(reader.describe(), reader.state_dict())

    @torch.no_grad()
    def picture(self, state: ModuleState, images: NDArray[np.uint8], rng: Rng) -> Float[Tensor, "rows columns c h w"]:
        """Return a row of images per value of the first categorical code; the other codes are the same in every row."""
        generator = state.modules["generator"].eval()
        _, codes, values = self._codes(state, N_SHOWN, rng)
        rows = [torch.cat([torch.full_like(codes[:, :1], value), codes[:, 1:]], 1) for value in range(N_VALUES)]
        return torch.stack([generator(self._input(state, row, values, rng)) for row in rows])
