"""Knows PsCo: a slow copy of the network remembers past images, and those that resemble a query become the shots of its class."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.metalearner import Metrics
from umeta.core.precision import mixed_precision
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.contrastive import queue_contrast, shot_contrast
from umeta.functional.prototypes import Metric
from umeta.functional.transport import sinkhorn
from umeta.images.episode import Episode, Episodes
from umeta.images.learners.heads import Projected
from umeta.images.learners.protonets import PrototypeProcedure, follow, frozen, steps_taken, warmed
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.nets.perceptron import Perceptron


class Queue(nn.Module):
    """Vectors of past images, the oldest replaced first; random directions at the beginning.

    Args:
        n: How many.
        n_dim: Of each.
        generator: Draws the first ones.
    """

    vectors: Tensor
    place: Tensor

    def __init__(self, n: int, n_dim: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("vectors", F.normalize(torch.randn(n, n_dim, generator=generator), dim=-1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, vectors: Float[Tensor, "n dim"]) -> None:
        """Replace the oldest; of more vectors than there is room for, the last ones stay."""
        size = len(self.vectors)
        vectors = vectors[-size:]
        self.vectors[(self.place + torch.arange(len(vectors), device=vectors.device)) % size] = vectors
        self.place.copy_((self.place + len(vectors)) % size)


@dataclass(frozen=True)
class PsCo:
    """Pseudo-supervised contrast: few-shot tasks whose shots are found among past images by optimal transport.

    A task of views is one batch: a query view of each image for the network, its support view for the slow copy.

    Attributes:
        net: The network; its normalization must store statistics, so that the procedure is inductive.
        n_queue: Past images that are remembered.
        n_shots: Of each class, found in the queue.
        n_hidden: Hidden units of projector and predictor.
        n_out: Dimensions behind them.
        momentum: Share of itself that the slow copy keeps at each step.
        temperature: Of the contrast with the queue.
        shot_temperature: Of the contrast with the shots.
        lr: AdamW's first learning rate; it follows half a cosine to 0.
        weight_decay: AdamW's.

    Source:
        Jang, Lee, Shin 2023, "Unsupervised Meta-learning via Few-shot Pseudo-supervised Contrastive Learning" (arXiv:2303.00996), equations
        4 to 7, and the authors' code. Departures: AdamW instead of SGD at 0.03, which in a few hundred steps comes less far; the slow copy
        keeps less of itself in the first steps (see `warmed`), and its stored statistics, which nothing reads, follow like its weights.
    """

    net: Conv4Config
    n_queue: int = 16384
    n_shots: int = 1
    n_hidden: int = 4096
    n_out: int = 256
    momentum: float = 0.99
    temperature: float = 0.2
    shot_temperature: float = 1.0
    lr: float = 2e-3
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        if not self.net.stored:
            raise ValueError("PsCo needs stored statistics: with those of the batch, one query would depend on the others")
        if self.n_shots > self.n_queue:
            raise ValueError(f"{self.n_shots} shots cannot be found in a queue of {self.n_queue}")

    def init(self, rng: Rng) -> ModuleState:
        """Return fresh networks, their slow copies, a queue of random directions, and the optimizer."""
        net = Conv4(self.net, rng.torch()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        projector = Perceptron(self.net.n_dim, self.n_hidden, self.n_out, rng.fork("projector").torch(), normalized=True)
        predictor = Perceptron(self.n_out, self.n_hidden, self.n_out, rng.fork("predictor").torch(), normalized=False)
        fast = nn.Sequential(net, projector)
        modules = {"fast": fast, "slow": deepcopy(fast).requires_grad_(False), "predictor": predictor}
        modules["queue"] = Queue(self.n_queue, self.n_out, rng.fork("queue").torch())
        weights = [weight for module in (fast, predictor) for weight in module.parameters() if weight.requires_grad]
        return ModuleState(modules, {"adam": torch.optim.AdamW(weights, self.lr, weight_decay=self.weight_decay)})

    def step(self, state: ModuleState, tasks: Sequence[Episode], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Contrast each query with its key and with the shots found for it, then remember the keys."""
        assert isinstance(tasks, Episodes)
        fast, slow, predictor = (state.modules[name].train() for name in ("fast", "slow", "predictor"))
        queue, optimizer = state.modules["queue"], state.optimizers["adam"]
        assert isinstance(queue, Queue)
        images = tasks.images().flatten(0, 1)
        keys, queries = (images[:, place].contiguous(memory_format=torch.channels_last) for place in (0, tasks.k_shot))
        with mixed_precision(images.device):
            asked = predictor(fast(queries))
            with torch.no_grad():
                kept = slow(keys)
        asked, kept = F.normalize(asked.float(), dim=-1), F.normalize(kept.float(), dim=-1)
        found = sinkhorn(kept @ queue.vectors.T).topk(self.n_shots).indices
        loss, right = queue_contrast(asked, kept, queue.vectors, self.temperature)
        loss = loss + shot_contrast(asked, queue.vectors[found], self.shot_temperature)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        follow(slow, fast, warmed(self.momentum, steps_taken(optimizer)))
        queue.push(kept)
        return state, {"loss": loss.item(), "accuracy": right.item()}

    def export(self, state: ModuleState) -> PrototypeProcedure:
        """Return a procedure with copies of network, projector and predictor."""
        fast = state.modules["fast"]
        assert isinstance(fast, nn.Sequential)
        weights = {f"projector.{key}": value.clone() for key, value in fast[1].state_dict().items()}
        weights |= {f"predictor.{key}": value.clone() for key, value in state.modules["predictor"].state_dict().items()}
        metric, sizes = Metric("cosine", self.temperature), (self.net.n_dim, self.n_hidden, self.n_out)
        return PrototypeProcedure(frozen(fast[0]), Projected.restore(metric, sizes, **weights))
