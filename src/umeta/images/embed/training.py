"""Knows how an embedding is learned without labels: a pool of images, a state, and steps through the one outer loop."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from umeta.core.loop import Observer, Pace, Position, train
from umeta.core.metalearner import Metrics
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.images.embed.encoder import to_float


class StoredEncoder(Protocol):
    """An encoder that goes to disk and comes back: a module of tensors, and a JSON-ready description that rebuilds it."""

    kind: ClassVar[str]

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        """Embed images with values in `[0, 1]`."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what `restore_encoder` needs beside the tensors."""
        ...


class Embedder(Protocol):
    """A way to learn an embedding; its fields are its configuration.

    Attributes:
        shown: The metric that the progress line shows.
    """

    shown: ClassVar[str]

    def init(self, images: NDArray[np.uint8], rng: Rng) -> ModuleState:
        """Return fresh networks for a pool of images [n, c, h, h].

        Raises:
            InputError: The pool is too small.
        """
        ...

    def step(self, state: ModuleState, images: NDArray[np.uint8], index: int, rng: Rng) -> tuple[ModuleState, Metrics]:
        """Take step `index` on images drawn from the pool.

        Raises:
            DivergedError: What is generated has lost all variety.
        """
        ...

    def encoder(self, state: ModuleState, images: NDArray[np.uint8]) -> StoredEncoder:
        """Return the encoder of a trained state; the pool gives its statistics where it needs some."""
        ...

    def picture(self, state: ModuleState, images: NDArray[np.uint8], rng: Rng) -> Float[Tensor, "rows columns c h w"]:
        """Return what was learned, to be looked at: a table of images with values in `[0, 1]`."""
        ...


def fit(
    embedder: Embedder,
    images: NDArray[np.uint8],
    pace: Pace,
    rng: Rng,
    *,
    state: ModuleState | None = None,
    start: Position | None = None,
    observer: Observer | None = None,
) -> ModuleState:
    """Learn an embedding from unlabeled images, and return the trained state.

    Args:
        embedder: The method.
        images: Shape [n, c, h, h]; may be memory-mapped.
        pace: When the schedule ends.
        rng: Step `i` draws what it needs from `rng.fork("step", i)`.
        state: The state to go on from; None starts afresh.
        start: The position that `state` was saved at.
        observer: Watches and saves.
    """

    def step(current: ModuleState, index: int) -> tuple[ModuleState, Metrics]:
        return embedder.step(current, images, index, rng.fork("step", index))

    first = state or embedder.init(images, rng.fork("init"))
    return train(first, step, pace, start=start, observer=observer)


def draw_batch(images: NDArray[np.uint8], n: int, rng: Rng) -> Float[Tensor, "n c h w"]:
    """Draw `n` images of a pool, with replacement, in random order."""
    chosen = rng.fork("images").numpy().integers(len(images), size=n)
    batch = to_float(torch.from_numpy(np.array(images[np.sort(chosen)])))
    return batch[torch.randperm(n, generator=rng.fork("order").torch())]


def descend(state: ModuleState, losses: Mapping[str, Tensor]) -> None:
    """Take a step of each named optimizer along the gradient of its own loss by its own parameters, all gradients first."""
    for name, loss in losses.items():
        parameters = [p for group in state.optimizers[name].param_groups for p in group["params"]]
        last = name == list(losses)[-1]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters, retain_graph=not last), strict=True):
            parameter.grad = gradient
    for name in losses:
        state.optimizers[name].step()
