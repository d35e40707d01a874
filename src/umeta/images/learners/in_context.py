"""Knows how a transformer practices reading support sets in an embedding that stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from umeta.core.metalearner import Metrics
from umeta.core.precision import mixed_precision
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.sampling import choose
from umeta.images.episode import Episode, Episodes
from umeta.images.learners.heads import InContext
from umeta.images.learners.protonets import PrototypeProcedure, steps_taken
from umeta.images.nets.context import ContextConfig, ContextTransformer
from umeta.images.nets.conv4 import Conv4


@dataclass(frozen=True)
class ContextLearner:
    """Practice an in-context head on a frozen encoder.

    Each step embeds one batch of large tasks and makes smaller ones of it, of a number of classes and of shots that is drawn anew, so that
    one transformer serves all kinds of tasks.

    Attributes:
        encoder: A procedure whose network and metric are kept; it compares by the cosine.
        width: Dimensions of the transformer's tokens.
        n_layers: Its layers.
        n_heads: Its heads of attention.
        most_ways: Classes of a task at most; at least 5, or all that there are.
        n_splits: Tasks made from each embedded one.
        lr: AdamW's learning rate; it rises to this in `n_warm` steps, since Adam's first ones are as long as any and would undo what
            prototypes know, and follows half a cosine to 0.
        n_warm: Steps in which it rises.
        weight_decay: AdamW's.

    Source:
        Vettoruzzo et al. 2025, "Unsupervised Meta-Learning via In-Context Learning" (arXiv:2405.16124). Departures: the encoder is ours and
        saw the same pool only; see `ContextTransformer` for the network and `Mixtures` for the tasks.
    """

    encoder: PrototypeProcedure
    width: int = 256
    n_layers: int = 2
    n_heads: int = 4
    most_ways: int = 20
    n_splits: int = 8
    lr: float = 5e-4
    n_warm: int = 50
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        if self.encoder.head.metric.kind != "cosine":
            raise ValueError("the in-context head moves directions; give an encoder that compares by the cosine")

    def init(self, rng: Rng) -> ModuleState:
        """Return a fresh transformer, which moves nothing yet, and its optimizer."""
        assert isinstance(self.encoder.net, Conv4)
        config = ContextConfig(self.encoder.net.config.n_dim, self.width, self.n_layers, self.n_heads)
        net = ContextTransformer(config, rng.torch())
        return ModuleState({"context": net}, {"adam": torch.optim.AdamW(net.parameters(), self.lr, weight_decay=self.weight_decay)})

    def step(self, state: ModuleState, tasks: Sequence[Episode], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Embed the batch once, make tasks of it, and score their queries."""
        assert isinstance(tasks, Episodes)
        net, optimizer = state.modules["context"].train(), state.optimizers["adam"]
        assert isinstance(net, ContextTransformer)
        with torch.no_grad(), mixed_precision(torch.device(tasks.pool.device)):
            embedding = tasks.embedded(self.encoder.net)
        support, labels, queries, answers = self.smaller(embedding.float(), tasks.k_shot, rng)
        head = InContext(net, self.encoder.head.metric)
        logits = head.logits(queries, head.fit(support, labels, int(labels.max()) + 1, rng))
        loss = F.cross_entropy(logits.flatten(0, 1), answers.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        (group,) = optimizer.param_groups
        annealed = group["lr"]
        group["lr"] = annealed * min((1 + steps_taken(optimizer)) / self.n_warm, 1.0)
        optimizer.step()
        group["lr"] = annealed
        return state, {"loss": loss.item(), "accuracy": (logits.detach().argmax(-1) == answers).float().mean().item()}

    def smaller(
        self, embedding: Float[Tensor, "n_task n_way n_image dim"], k_shot: int, rng: Rng
    ) -> tuple[
        Float[Tensor, "n s dim"],
        Int[Tensor, "n s"],
        Float[Tensor, "n q dim"],
        Int[Tensor, "n q"],
    ]:
        """Return support, labels, queries and answers of `n_splits` tasks from each, of fewer classes and of at most `k_shot` shots."""
        n_task, all_ways, n_image, _ = embedding.shape
        generator = rng.fork("smaller").numpy()
        most = min(self.most_ways, all_ways)
        n_way, k = int(generator.integers(min(5, most), most + 1)), int(generator.integers(1, k_shot + 1))
        task = np.arange(n_task).repeat(self.n_splits)
        ways = choose(np.full(len(task), all_ways), n_way, generator)
        shots = choose(np.full((len(task), n_way), k_shot), k, generator)
        asked = np.broadcast_to(np.arange(k_shot, n_image), (len(task), n_way, n_image - k_shot))

        def picked(images: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[Tensor, Tensor]:
            index = tuple(map(torch.from_numpy, (task[:, None, None], ways[..., None], images.copy())))
            labels = torch.arange(n_way, device=embedding.device).repeat_interleave(images.shape[2]).expand(len(task), -1)
            return embedding[index].flatten(1, 2), labels

        return (*picked(shots), *picked(asked))

    def export(self, state: ModuleState) -> PrototypeProcedure:
        """Return the encoder with a copy of the transformer as its head."""
        net = state.modules["context"]
        assert isinstance(net, ContextTransformer)
        copy = ContextTransformer(net.config, torch.Generator())
        copy.load_state_dict(net.state_dict())
        return PrototypeProcedure(self.encoder.net, InContext(copy.eval().requires_grad_(False), self.encoder.head.metric))
