"""Knows Prototypical Networks: learn the embedding in which a class is its mean."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.metalearner import Metrics
from umeta.core.precision import mixed_precision
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.contrastive import nt_xent
from umeta.functional.prototypes import Metric, resplit
from umeta.images.episode import Episode, Episodes, Examples
from umeta.images.learners.classifier import restored
from umeta.images.nets.conv4 import Conv4, Conv4Config

AT_ONCE = 512


@dataclass(frozen=True)
class PrototypeClassifier:
    """Classes as points in an embedding; the nearest one wins."""

    net: Conv4
    centers: Tensor
    metric: Metric = field(default_factory=Metric)

    @property
    def n_way(self) -> int:
        """Number of classes."""
        return len(self.centers)

    @torch.no_grad()
    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n n_way"]:
        """Score images against each center."""
        return self.metric.logits(torch.cat([self.net(part) for part in torch.split(images, AT_ONCE)]), self.centers)

    def tensors(self) -> dict[str, Tensor]:
        """Return network and centers."""
        return {"centers": self.centers, **{f"net.{key}": value for key, value in self.net.state_dict().items()}}

    def describe(self) -> dict[str, Any]:
        """Return type, network and metric."""
        return {"type": "prototypes", "net": asdict(self.net.config), "metric": asdict(self.metric)}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "PrototypeClassifier":
        """Rebuild from an artifact."""
        procedure = PrototypeProcedure.restore(info, tensors)
        return cls(procedure.net, tensors["centers"], procedure.metric)


@dataclass(frozen=True)
class PrototypeProcedure:
    """Adapt by averaging: no gradient, any number of classes, any and unequal shots."""

    net: Conv4
    metric: Metric = field(default_factory=Metric)
    transductive: bool = False

    @property
    def encoder(self) -> Conv4:
        """The network."""
        return self.net

    def adapt(self, support: Examples, rng: Rng) -> PrototypeClassifier:
        """Average the embedded examples of each class."""
        with torch.no_grad():
            centers = self.metric.centers(self.net(support.images), support.labels, support.n_way)
        return PrototypeClassifier(self.net, centers, self.metric)

    @torch.no_grad()
    def logits(self, episodes: Episodes, rng: Rng) -> Float[Tensor, "1 n_task n_query n_way"]:
        """Score the queries of every task from one embedding of the pool."""
        return episode_logits(episodes.embedded(self.net), episodes.k_shot, self.metric).unsqueeze(0)

    def tensors(self) -> dict[str, Tensor]:
        """Return the network's weights and statistics."""
        return {f"net.{key}": value for key, value in self.net.state_dict().items()}

    def describe(self) -> dict[str, Any]:
        """Return type, network and metric."""
        return {"type": "prototypes", "net": asdict(self.net.config), "metric": asdict(self.metric)}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "PrototypeProcedure":
        """Rebuild from an artifact."""
        net = Conv4(Conv4Config(**info["net"]), torch.Generator()).eval()
        net.load_state_dict(restored(tensors, "net."))
        return cls(net.requires_grad_(False), Metric(**info.get("metric", {})))


def episode_logits(
    embedding: Float[Tensor, "n_task n_way n_image dim"], k_shot: int, metric: Metric
) -> Float[Tensor, "n_task n_query n_way"]:
    """Score the queries of balanced episodes; the first `k_shot` images of each class are its support."""
    n_way = embedding.shape[1]
    labels = torch.arange(n_way, device=embedding.device).repeat_interleave(k_shot).expand(len(embedding), -1)
    centers = metric.centers(embedding[:, :, :k_shot].flatten(1, 2), labels, n_way)
    return metric.logits(embedding[:, :, k_shot:].flatten(1, 2), centers)


@dataclass(frozen=True)
class ProtoNets:
    """Prototypical Networks.

    Attributes:
        net: The network; its normalization must store statistics, so that the procedure is inductive.
        metric: In which geometry classes are points.
        objective: "episode": queries are scored against prototypes, as published. "pairs": every image is a query in turn and every other
            one a 1-shot prototype (NT-Xent), which takes more comparisons from the same embedding; cosine metric only.
        lr: AdamW's first learning rate; it follows half a cosine to 0.
        weight_decay: AdamW's.
        average: Share that the exported average of the weights keeps at each step; 0 exports the last weights.
        n_splits: Episodes made from each embedded one, by drawing its support anew; 1 is the published form.

    Source:
        Snell et al. 2017 (arXiv:1703.05175), algorithm 1, and CACTUs' fork of the authors' code. Departure: the learning rate is annealed.
    """

    net: Conv4Config
    metric: Metric = field(default_factory=Metric)
    objective: Literal["episode", "pairs"] = "episode"
    lr: float = 1e-3
    weight_decay: float = 0.0
    average: float = 0.0
    n_splits: int = 1

    def __post_init__(self) -> None:
        if not self.net.stored:
            raise ValueError("ProtoNets need stored statistics: with those of the batch, one query would depend on the others")
        if self.objective == "pairs" and self.metric.kind != "cosine":
            raise ValueError('the objective "pairs" compares by the cosine; give Metric("cosine", temperature)')

    def init(self, rng: Rng) -> ModuleState:
        """Return a fresh network and its optimizer."""
        net = Conv4(self.net, rng.torch()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        modules = {"net": net} | ({"average": deepcopy(net).requires_grad_(False)} if self.average else {})
        return ModuleState(modules, {"adam": torch.optim.AdamW(net.parameters(), self.lr, weight_decay=self.weight_decay)})

    def step(self, state: ModuleState, tasks: Sequence[Episode], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Embed all images of the batch in one call, then score every episode."""
        assert isinstance(tasks, Episodes)
        net, optimizer = state.modules["net"].train(), state.optimizers["adam"]
        images = tasks.images().flatten(0, 2).contiguous(memory_format=torch.channels_last)
        with mixed_precision(images.device):
            embedded = net(images)
        loss, right = self._score(embedded.float().reshape(*tasks.indices.shape, -1), tasks, rng)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if self.average:
            follow(state.modules["average"], net, self.average)
        return state, {"loss": loss.item(), "accuracy": right.item()}

    def _score(self, embedding: Float[Tensor, "n_task n_way n_image dim"], tasks: Episodes, rng: Rng) -> tuple[Tensor, Tensor]:
        if self.objective == "pairs":
            losses, rights = zip(*(nt_xent(task, self.metric.temperature) for task in embedding), strict=True)
            return torch.stack(losses).mean(), torch.stack(rights).mean()
        embedding = resplit(embedding, self.n_splits, rng.torch(embedding.device))
        logits = episode_logits(embedding, tasks.k_shot, self.metric)
        labels = tasks.labels(tasks.n_query).to(logits.device).expand(len(logits), -1)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return loss, (logits.detach().argmax(-1) == labels).float().mean()

    def export(self, state: ModuleState) -> PrototypeProcedure:
        """Return a procedure with a copy of the network, or of its average."""
        info = {"net": asdict(self.net), "metric": asdict(self.metric)}
        trained = state.modules["average" if self.average else "net"]
        weights = {f"net.{key}": value.clone() for key, value in trained.state_dict().items()}
        return PrototypeProcedure.restore(info, weights)


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, share: float) -> None:
    """Move a running average of weights and stored statistics a step toward a network; it keeps `share` of itself."""
    for mean, now in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        mean.lerp_(now, 1 - share)
