"""Knows Prototypical Networks: learn the embedding in which a class is its mean."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from umeta.core.metalearner import Metrics
from umeta.core.precision import mixed_precision
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.prototypes import prototypes, resplit, squared_distance_logits
from umeta.images.episode import Episode, Episodes, Examples
from umeta.images.learners.classifier import restored
from umeta.images.nets.conv4 import Conv4, Conv4Config

AT_ONCE = 512


@dataclass(frozen=True)
class PrototypeClassifier:
    """Classes as points in an embedding; the nearest one wins."""

    net: Conv4
    centers: Tensor

    @property
    def n_way(self) -> int:
        """Number of classes."""
        return len(self.centers)

    @torch.no_grad()
    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n n_way"]:
        """Score images by minus the squared distance to each center."""
        return squared_distance_logits(torch.cat([self.net(part) for part in torch.split(images, AT_ONCE)]), self.centers)

    def tensors(self) -> dict[str, Tensor]:
        """Return network and centers."""
        return {"centers": self.centers, **{f"net.{key}": value for key, value in self.net.state_dict().items()}}

    def describe(self) -> dict[str, Any]:
        """Return type and network."""
        return {"type": "prototypes", "net": asdict(self.net.config)}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "PrototypeClassifier":
        """Rebuild from an artifact."""
        return cls(PrototypeProcedure.restore(info, tensors).net, tensors["centers"])


@dataclass(frozen=True)
class PrototypeProcedure:
    """Adapt by averaging: no gradient, any number of classes, any and unequal shots."""

    net: Conv4
    transductive: bool = False

    def adapt(self, support: Examples, rng: Rng) -> PrototypeClassifier:
        """Average the embedded examples of each class."""
        with torch.no_grad():
            return PrototypeClassifier(self.net, prototypes(self.net(support.images), support.labels, support.n_way))

    @torch.no_grad()
    def logits(self, episodes: Episodes, rng: Rng) -> Float[Tensor, "1 n_task n_query n_way"]:
        """Score the queries of every task from one embedding of the pool."""
        return episode_logits(episodes.embedded(self.net), episodes.k_shot).unsqueeze(0)

    def tensors(self) -> dict[str, Tensor]:
        """Return the network's weights and statistics."""
        return {f"net.{key}": value for key, value in self.net.state_dict().items()}

    def describe(self) -> dict[str, Any]:
        """Return type and network."""
        return {"type": "prototypes", "net": asdict(self.net.config)}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "PrototypeProcedure":
        """Rebuild from an artifact."""
        net = Conv4(Conv4Config(**info["net"]), torch.Generator()).eval()
        net.load_state_dict(restored(tensors, "net."))
        return cls(net.requires_grad_(False))


def episode_logits(embedding: Float[Tensor, "n_task n_way n_image dim"], k_shot: int) -> Float[Tensor, "n_task n_query n_way"]:
    """Score the queries of balanced episodes; the first `k_shot` images of each class are its support."""
    n_way = embedding.shape[1]
    labels = torch.arange(n_way, device=embedding.device).repeat_interleave(k_shot).expand(len(embedding), -1)
    centers = prototypes(embedding[:, :, :k_shot].flatten(1, 2), labels, n_way)
    return squared_distance_logits(embedding[:, :, k_shot:].flatten(1, 2), centers)


@dataclass(frozen=True)
class ProtoNets:
    """Prototypical Networks with squared Euclidean distance.

    Attributes:
        net: The network; its normalization must store statistics, so that the procedure is inductive.
        lr: Adam's first learning rate; it follows half a cosine to 0.
        n_splits: Episodes made from each embedded one, by drawing its support anew; 1 is the published form.

    Source:
        Snell et al. 2017 (arXiv:1703.05175), algorithm 1, and CACTUs' fork of the authors' code. Departure: the learning rate is annealed.
    """

    net: Conv4Config
    lr: float = 1e-3
    n_splits: int = 1

    def __post_init__(self) -> None:
        if not self.net.stored:
            raise ValueError("ProtoNets need stored statistics: with those of the batch, one query would depend on the others")

    def init(self, rng: Rng) -> ModuleState:
        """Return a fresh network and its optimizer."""
        net = Conv4(self.net, rng.torch()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return ModuleState({"net": net}, {"adam": torch.optim.Adam(net.parameters(), self.lr)})

    def step(self, state: ModuleState, tasks: Sequence[Episode], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Embed all images of the batch in one call, then score every episode."""
        assert isinstance(tasks, Episodes)
        net, optimizer = state.modules["net"].train(), state.optimizers["adam"]
        images = tasks.images().flatten(0, 2).contiguous(memory_format=torch.channels_last)
        with mixed_precision(images.device):
            embedded = net(images)
        embedding = embedded.float().reshape(*tasks.indices.shape, -1)
        embedding = resplit(embedding, self.n_splits, rng.torch(embedding.device))
        logits = episode_logits(embedding, tasks.k_shot)
        labels = tasks.labels(tasks.n_query).to(logits.device).expand(len(logits), -1)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        right = (logits.detach().argmax(-1) == labels).float().mean()
        return state, {"loss": loss.item(), "accuracy": right.item()}

    def export(self, state: ModuleState) -> PrototypeProcedure:
        """Return a procedure with a copy of the network."""
        info = {"net": asdict(self.net)}
        weights = {f"net.{key}": value.clone() for key, value in state.modules["net"].state_dict().items()}
        return PrototypeProcedure.restore(info, weights)
