"""Knows Prototypical Networks: learn the embedding in which a class is its mean."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.metalearner import Metrics
from umeta.core.precision import mixed_precision
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.contrastive import nt_xent
from umeta.functional.prototypes import Metric, resplit
from umeta.images.embed.encoder import Encoder
from umeta.images.embed.registry import restore_encoder
from umeta.images.embed.training import StoredEncoder
from umeta.images.episode import Episode, Episodes, Examples
from umeta.images.learners.classifier import restored
from umeta.images.learners.heads import Fitted, Head, Prototypes, restore_head
from umeta.images.nets.net import Net, NetConfig, begin_at, build, describe_net, rebuilt, restore_net

AT_ONCE = 512


@dataclass(frozen=True)
class PrototypeClassifier:
    """Classes as points in an embedding; the nearest one wins.

    Attributes:
        net: Embeds images.
        head: How classes were learned.
        fitted: What the head kept of the examples.
        n_way: Number of classes.
    """

    net: Net | StoredEncoder
    head: Head
    fitted: Fitted
    n_way: int

    @torch.no_grad()
    def logits(self, images: Float[Tensor, "n *shape"]) -> Float[Tensor, "n n_way"]:
        """Score images, or vectors of the embedding; all those given count as asked together."""
        return self.head.logits(embedded(self.net, images), self.fitted)

    def tensors(self) -> dict[str, Tensor]:
        """Return network, head and what is known of the classes."""
        return _tensors(self.net, self.head) | {f"fitted.{key}": value for key, value in self.fitted.items()}

    def describe(self) -> dict[str, Any]:
        """Return type, network, head and number of classes."""
        return _description(self.net, self.head) | {"n_way": self.n_way}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "PrototypeClassifier":
        """Rebuild from an artifact."""
        procedure = PrototypeProcedure.restore(info, tensors)
        return cls(procedure.net, procedure.head, restored(tensors, "fitted."), info["n_way"])


@dataclass(frozen=True)
class PrototypeProcedure:
    """Adapt by averaging embedded examples, or as another head does: any number of classes, any and unequal shots.

    Attributes:
        net: Embeds images; never changed. A network that was practiced, or an encoder taken as it is.
        head: How a task is learned in the embedding.
    """

    net: Net | StoredEncoder
    head: Head = field(default_factory=Prototypes)

    @property
    def encoder(self) -> Net | StoredEncoder:
        """The network."""
        return self.net

    @property
    def transductive(self) -> bool:
        """As the head is."""
        return self.head.transductive

    @torch.no_grad()
    def adapt(self, support: Examples, rng: Rng) -> PrototypeClassifier:
        """Embed the examples, unless they are vectors of the embedding, and let the head learn them."""
        fitted = self.head.fit(embedded(self.net, support.images), support.labels, support.n_way, rng)
        return PrototypeClassifier(self.net, self.head, fitted, support.n_way)

    @torch.no_grad()
    def logits(self, episodes: Episodes, rng: Rng) -> Float[Tensor, "1 n_task n_query n_way"]:
        """Score the queries of every task from one embedding of the pool."""
        support, labels, queries = divided(episodes.embedded(self.net), episodes.k_shot)
        return self.head.logits(queries, self.head.fit(support, labels, episodes.n_way, rng)).unsqueeze(0)

    def tensors(self) -> dict[str, Tensor]:
        """Return the network's weights and statistics, and the head's tensors."""
        return _tensors(self.net, self.head)

    def describe(self) -> dict[str, Any]:
        """Return type, network and head."""
        return _description(self.net, self.head)

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "PrototypeProcedure":
        """Rebuild from an artifact; one without a head, of earlier versions, has prototypes."""
        weights, net = restored(tensors, "net."), info["net"]
        head = info.get("head", {"type": "prototypes", "metric": info.get("metric", {})})
        encoder = restore_encoder(net["kind"], net["settings"], weights) if "kind" in net else rebuilt(restore_net(net), weights)
        return cls(encoder, restore_head(head, restored(tensors, "head.")))


def embedded(net: Encoder, images: Float[Tensor, "n *shape"]) -> Float[Tensor, "n dim"]:
    """Embed images, a few hundred at a time; vectors are taken for embedded already."""
    return images if images.ndim == 2 else torch.cat([net(part) for part in torch.split(images, AT_ONCE)])


def _tensors(net: Net | StoredEncoder, head: Head) -> dict[str, Tensor]:
    own = {f"head.{key}": value for key, value in head.tensors().items()}
    return own | {f"net.{key}": value for key, value in net.state_dict().items()}


def _description(net: Net | StoredEncoder, head: Head) -> dict[str, Any]:
    described = describe_net(net.config) if isinstance(net, Net) else {"kind": net.kind, "settings": net.describe()}
    return {"type": "prototypes", "net": described, "head": head.describe()}


def divided(
    embedding: Float[Tensor, "n_task n_way n_image dim"], k_shot: int
) -> tuple[Float[Tensor, "n_task n_support dim"], Int[Tensor, "n_task n_support"], Float[Tensor, "n_task n_query dim"]]:
    """Return support, its labels and queries of balanced episodes; the first `k_shot` images of each class are its support."""
    labels = torch.arange(embedding.shape[1], device=embedding.device).repeat_interleave(k_shot).expand(len(embedding), -1)
    return embedding[:, :, :k_shot].flatten(1, 2), labels, embedding[:, :, k_shot:].flatten(1, 2)


def episode_logits(
    embedding: Float[Tensor, "n_task n_way n_image dim"], k_shot: int, metric: Metric
) -> Float[Tensor, "n_task n_query n_way"]:
    """Score the queries of balanced episodes against prototypes."""
    support, labels, queries = divided(embedding, k_shot)
    return metric.logits(queries, metric.centers(support, labels, embedding.shape[1]))


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
        average: Share that the exported average of the weights keeps at each step, less in the first ones (see `warmed`); 0 exports the
            last weights.
        n_splits: Episodes made from each embedded one, by drawing its support anew; 1 is the published form.
        begin: A network of the form of `net` at whose weights practice begins; None for random ones.

    Source:
        Snell et al. 2017 (arXiv:1703.05175), algorithm 1, and CACTUs' fork of the authors' code. Departure: the learning rate is annealed.
    """

    net: NetConfig
    metric: Metric = field(default_factory=Metric)
    objective: Literal["episode", "pairs"] = "episode"
    lr: float = 1e-3
    weight_decay: float = 0.0
    average: float = 0.0
    n_splits: int = 1
    begin: Net | None = None

    def __post_init__(self) -> None:
        if self.net.together:
            raise ValueError("ProtoNets need stored statistics: with those of the batch, one query would depend on the others")
        if self.objective == "pairs" and self.metric.kind != "cosine":
            raise ValueError('the objective "pairs" compares by the cosine; give Metric("cosine", temperature)')

    def init(self, rng: Rng) -> ModuleState:
        """Return a fresh network, or one at the weights of `begin`, and its optimizer."""
        net = build(self.net, rng.torch())
        if self.begin is not None:
            begin_at(net, self.begin)
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        modules = {"net": net} | ({"average": deepcopy(net).requires_grad_(False)} if self.average else {})
        return ModuleState(modules, {"adam": torch.optim.AdamW(net.parameters(), self.lr, weight_decay=self.weight_decay)})

    def step(self, state: ModuleState, tasks: Sequence[Episode], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Embed all images of the batch in one call, each of several processes a part of them, then score every episode."""
        assert isinstance(tasks, Episodes)
        net, optimizer = state.modules["net"].train(), state.optimizers["adam"]
        images = tasks.images().flatten(0, 2)
        team = state.divided(len(images))
        own = images[team.span()].contiguous(memory_format=torch.channels_last)
        with mixed_precision(images.device):
            embedded = net(own)
        embedding = team.joined(embedded.float()).reshape(*tasks.indices.shape, -1)
        loss, right = self._score(embedding, tasks, rng)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if self.average:
            follow(state.modules["average"], net, warmed(self.average, steps_taken(optimizer)))
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
        return PrototypeProcedure(frozen(state.modules["average" if self.average else "net"]), Prototypes(self.metric))


def frozen(net: nn.Module) -> Net:
    """Return a copy of a network for use, laid out as one that was read from disk."""
    assert isinstance(net, Net)
    return rebuilt(net.config, net.state_dict())


def steps_taken(optimizer: torch.optim.Optimizer) -> int:
    """Return how many steps an Adam has taken, which its state keeps."""
    return int(next(iter(optimizer.state.values()))["step"]) if optimizer.state else 0


def warmed(share: float, n_steps: int) -> float:
    """Return the share that a running average keeps after so many steps: less at first, lest it remember random weights for long."""
    return min(share, (1 + n_steps) / (10 + n_steps))


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, share: float) -> None:
    """Move a running average of weights and stored statistics a step toward a network; it keeps `share` of itself."""
    for mean, now in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        mean.lerp_(now, 1 - share)
