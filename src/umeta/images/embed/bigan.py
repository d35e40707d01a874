"""Knows how to learn an encoder as the inverse of a generator: BiGAN."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.metalearner import Metrics
from umeta.core.precision import mixed_precision
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.adversarial import deception_loss, discriminator_loss, uniform_noise
from umeta.images.embed.canvas import n_scales, to_canvas
from umeta.images.embed.collapse import is_simple, watch_variety
from umeta.images.embed.training import descend, draw_batch
from umeta.images.nets.adversary import LEAK, Generator, Judge, linear

N_HIDDEN = 512
N_SHOWN = 12


class BiganEncoder(nn.Module):
    """The inverse of a generator: from an image to its code.

    Args:
        channels: Of the images.
        side: Of the images, in pixels.
        n_code: Dimensions of the code.
        width: As of `Bigan`.
        generator: Draws the initial weights.
    """

    kind: ClassVar[str] = "bigan"

    def __init__(self, channels: int, side: int, n_code: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self._settings = {"channels": channels, "side": side, "n_code": n_code, "width": width}
        self.trunk = Judge(channels, width, n_scales(side), generator)
        self.code = linear(self.trunk.n_dim, n_code, generator)

    def forward(self, images: Float[Tensor, "n c h h"]) -> Float[Tensor, "n code"]:
        """Embed images with values in `[0, 1]`."""
        code: Tensor = self.code(self.trunk(to_canvas(images)))
        return code.float().tanh()

    def describe(self) -> dict[str, Any]:
        """Return what `restore` needs beside the tensors, JSON-ready."""
        return self._settings

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "BiganEncoder":
        """Rebuild the encoder from an artifact."""
        encoder = cls(**info, generator=torch.Generator())
        encoder.load_state_dict(tensors)
        return encoder.eval().requires_grad_(False)


class JointDiscriminator(nn.Module):
    """Tell pairs of a real image and its code from pairs of a code and the image drawn from it."""

    def __init__(self, channels: int, side: int, n_code: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.trunk = Judge(channels, width, n_scales(side), generator)
        self.hidden = linear(self.trunk.n_dim + n_code, N_HIDDEN, generator)
        self.out = linear(N_HIDDEN, 1, generator)

    def forward(self, images: Float[Tensor, "n c s s"], codes: Float[Tensor, "n code"]) -> Float[Tensor, " n"]:
        """Return the logit of a pair's being real."""
        hidden = F.leaky_relu(self.hidden(torch.cat([self.trunk(images), codes], 1)), LEAK)
        logit: Tensor = self.out(hidden)
        return logit[:, 0].float()


@dataclass(frozen=True)
class Bigan:
    """Bidirectional generative adversarial network: the embedding of CACTUs' weaker rows, 200 numbers.

    Attributes:
        n_code: Dimensions of the code; None takes 50 for pools as simple as MNIST (see `is_simple`) and 200 for others, CACTUs' figures.
        width: Channels at half resolution; doubled at each further scale.
        batch_size: Images per step.
        cycle_weight: Of the squared distance between a code and what the encoder says of the image drawn from it, half of the
            sum over dimensions; 0 is the published form.
        pair_lr: First learning rate of the encoder's and the generator's Adam; it follows half a cosine to 0.
        lr: The same of the discriminator's.

    Source:
        Donahue et al. 2017 (arXiv:1605.09782), algorithm 1 with the inverse objective, codes uniform in `[-1, 1]`. Departures: DCGAN's
        layers at a width of 32 instead of 64 or more; an encoder that ends in tanh, the range of the codes; learning rates that are
        annealed, and larger for the pair; and the cycle through the image, after Li et al. 2017, ALICE (arXiv:1709.01215), without which
        the generator drew one and the same image for hundreds of steps. The discriminator wins early all the same, and in short trainings
        the encoder is worse than its start; see the documentation of methods.
    """

    n_code: int | None = None
    width: int = 32
    batch_size: int = 64
    cycle_weight: float = 1.0
    pair_lr: float = 1e-3
    lr: float = 5e-5
    shown: ClassVar[str] = "discriminator_loss"

    def init(self, images: NDArray[np.uint8], rng: Rng) -> ModuleState:
        """Return fresh networks for the images of a pool."""
        _, channels, side, _ = images.shape
        n_code, generator = self.n_code or (50 if is_simple(images) else 200), rng.torch()
        modules: dict[str, nn.Module] = {
            "encoder": BiganEncoder(channels, side, n_code, self.width, generator),
            "generator": Generator(n_code, channels, self.width, n_scales(side), generator),
            "discriminator": JointDiscriminator(channels, side, n_code, self.width, generator),
        }
        for module in modules.values():
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        pair = [*modules["encoder"].parameters(), *modules["generator"].parameters()]
        optimizers: dict[str, torch.optim.Optimizer] = {
            "pair_adam": torch.optim.Adam(pair, self.pair_lr, (0.5, 0.999)),
            "discriminator_adam": torch.optim.Adam(modules["discriminator"].parameters(), self.lr, (0.5, 0.999)),
        }
        return ModuleState(modules, optimizers)

    def step(self, state: ModuleState, images: NDArray[np.uint8], index: int, rng: Rng) -> tuple[ModuleState, Metrics]:
        """Train encoder, generator and discriminator on one batch."""
        encoder, generator, discriminator = (state.modules[name].train() for name in ("encoder", "generator", "discriminator"))
        real = to_canvas(draw_batch(images, self.batch_size, rng))
        code = uniform_noise(len(real), n_code(state), rng.fork("code").torch(), real.device)
        with mixed_precision(real.device):
            found, drawn = encoder(real), generator(code)
            real_logits, drawn_logits = discriminator(real, found), discriminator(drawn, code)
            again = encoder(drawn)
        judged = discriminator_loss(real_logits, drawn_logits)
        cycle = (again - code).square().sum(1).mean()
        fooled = deception_loss(drawn_logits) + deception_loss(-real_logits) + self.cycle_weight * cycle / 2
        descend(state, {"pair_adam": fooled, "discriminator_adam": judged})
        varied = watch_variety("bigan", real, drawn, index)
        return state, {"loss": fooled.item(), "discriminator_loss": judged.item(), "cycle": cycle.item(), **varied}

    def encoder(self, state: ModuleState, images: NDArray[np.uint8]) -> BiganEncoder:
        """Return a copy of the encoder of a trained state."""
        encoder = state.modules["encoder"]
        assert isinstance(encoder, BiganEncoder)
        return BiganEncoder.restore(encoder.describe(), encoder.state_dict())

    @torch.no_grad()
    def picture(self, state: ModuleState, images: NDArray[np.uint8], rng: Rng) -> Float[Tensor, "rows columns c h w"]:
        """Return rows of images, of what the generator draws from their codes, and of what it draws from random codes."""
        encoder, generator = (state.modules[name].eval() for name in ("encoder", "generator"))
        real = to_canvas(draw_batch(images, 2 * N_SHOWN, rng))
        noise = uniform_noise(4 * N_SHOWN, n_code(state), rng.fork("code").torch())
        again, drawn = generator(encoder(real)), generator(noise)
        rows = [part for two in zip(torch.split(real, N_SHOWN), torch.split(again, N_SHOWN), strict=True) for part in two]
        return torch.stack([*rows, *torch.split(drawn, N_SHOWN)])


def n_code(state: ModuleState) -> int:
    """Return the dimensions of the code of a state's generator."""
    generator = state.modules["generator"]
    assert isinstance(generator, Generator)
    return generator.start.in_features
