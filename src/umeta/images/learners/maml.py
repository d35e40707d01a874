"""Knows Model-Agnostic Meta-Learning and its relatives: learn the weights from which a few gradient steps reach any task."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from umeta.core.metalearner import Metrics
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.inner_loop import Weights
from umeta.images.embed.refined import RefinedEncoder, describe_encoder, seen_by
from umeta.images.embed.registry import restore_encoder
from umeta.images.embed.training import StoredEncoder
from umeta.images.episode import Episode, Episodes, Examples
from umeta.images.learners.adaptation import InnerLoop, NetClassifier, Statistics, task_loss
from umeta.images.learners.classifier import restored
from umeta.images.nets.net import Net, NetConfig, begin_at, describe_net, restore_net


@dataclass(frozen=True)
class GradientClassifier:
    """A network whose weights were adapted to one task, with the support set that normalizes queries where statistics are stored.

    Attributes:
        model: The network and its head.
        support: What the network saw of the examples.
        n_way: Number of classes.
        statistics: Whose statistics normalize queries.
        below: The frozen encoder whose vectors the network sees; None where it sees images.
    """

    model: NetClassifier
    support: Tensor
    n_way: int
    statistics: Statistics
    below: StoredEncoder | None = None

    @torch.no_grad()
    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n n_way"]:
        """Score images."""
        seen = seen_by(self.below, images)
        if self.statistics == "batch":
            scores: Tensor = self.model(seen)
            return scores[:, : self.n_way]
        together: Tensor = self.model(torch.cat([self.support, seen]), len(self.support))
        return together[len(self.support) :, : self.n_way]

    def tensors(self) -> dict[str, Tensor]:
        """Return weights, support, and the frozen encoder's tensors."""
        return {"support": self.support, **_tensors(self.model, self.below)}

    def describe(self) -> dict[str, Any]:
        """Return type, networks and mode."""
        return {**_description(self.model, self.below), "n_way": self.n_way, "statistics": self.statistics}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "GradientClassifier":
        """Rebuild from an artifact."""
        model, below = _restored(info, tensors)
        return cls(model.requires_grad_(False), tensors["support"], info["n_way"], info["statistics"], below)


@dataclass(frozen=True)
class GradientProcedure:
    """Adapt by gradient steps from shared weights: MAML's after meta-training, training from scratch before it.

    Attributes:
        model: The shared weights; never changed.
        inner: How a task is learned.
        every_step: Whether `logits` scores queries after every step or only after the last.
        rates: A learned rate for each number of each adapted weight (Meta-SGD); None takes `inner.lr` for all.
        chunk_images: About how many support images `logits` works on at once: more no longer fit into a processor's cache.
        below: A frozen encoder whose vectors the network sees, as images of one pixel; None where it sees images.
    """

    model: NetClassifier
    inner: InnerLoop
    every_step: bool = True
    chunk_images: int = 160
    rates: Mapping[str, Tensor] | None = None
    below: StoredEncoder | None = None

    @property
    def transductive(self) -> bool:
        """True where queries are normalized together."""
        return self.inner.statistics == "batch" and self.model.net.config.together

    @property
    def encoder(self) -> Net | RefinedEncoder:
        """The network below the head, as it is before adaptation; its normalization sees the images of a call together."""
        return self.model.net if self.below is None else RefinedEncoder(self.below, self.model.net)

    def adapt(self, support: Examples, rng: Rng) -> GradientClassifier:
        """Take `inner.n_steps` gradient steps on the support set; a class beyond the head starts from the head's mean row."""
        with torch.no_grad():
            seen = seen_by(self.below, support.images)
            adapted, _ = self._run(seen[None], support.labels, seen[None], support.n_way, every_step=False)
        fresh = NetClassifier(self.model.net.config, adapted["head.bias"].shape[1], torch.Generator(), self.model.length)
        fresh.load_state_dict({name: value[0].detach() for name, value in adapted.items()})
        return GradientClassifier(fresh.requires_grad_(False), seen, support.n_way, self.inner.statistics, self.below)

    @torch.no_grad()
    def logits(self, episodes: Episodes, rng: Rng) -> Float[Tensor, "n_stage n_task n_query n_way"]:
        """Adapt to all tasks of a chunk at once; stage `i` is after `i` steps, or there is one, after the last."""
        labels, parts = episodes.labels(episodes.k_shot), []
        for chunk in replace(episodes, encoder=self.below).chunk(min(max(self.chunk_images // len(labels), 4), 25)):
            images = chunk.images()
            support, query = images[:, :, : chunk.k_shot].flatten(1, 2), images[:, :, chunk.k_shot :].flatten(1, 2)
            seen = self._run(support, labels.to(images.device), query, episodes.n_way, every_step=self.every_step)[1]
            parts.append(torch.stack(seen))
        return torch.cat(parts, 1)

    def _run(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int, *, every_step: bool) -> tuple[Weights, list[Tensor]]:
        inner = replace(self.inner, first_order=True)
        weights = _widened({name: value.detach() for name, value in self.model.named_parameters()}, n_way)
        rates = None if self.rates is None else _widened(self.rates, n_way)
        return inner.run(self.model, weights, support, labels, query, n_way, rates=rates, every_step=every_step)

    def tensors(self) -> dict[str, Tensor]:
        """Return the shared weights, the rates where they are learned, and the frozen encoder's tensors."""
        rates = {f"rates.{key}": value for key, value in (self.rates or {}).items()}
        return rates | _tensors(self.model, self.below)

    def describe(self) -> dict[str, Any]:
        """Return type, networks and inner loop."""
        return {**_description(self.model, self.below), "inner": asdict(self.inner)}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "GradientProcedure":
        """Rebuild from an artifact."""
        model, below = _restored(info, tensors)
        return cls(model.adapted_only(), InnerLoop(**info["inner"]), rates=restored(tensors, "rates.") or None, below=below)

    @classmethod
    def from_scratch(cls, net: NetConfig, n_way: int, rng: Rng, *, lr: float = 0.1, n_steps: int = 200) -> "GradientProcedure":
        """Return the baseline that starts every task at the same random weights.

        Source:
            CACTUs' code trains it with rate 0.1 on the summed loss for 200 steps.
        """
        model = NetClassifier(net, n_way, rng.torch()).adapted_only()
        return cls(model, InnerLoop(lr=lr, n_steps=n_steps, first_order=True), every_step=False)


def _tensors(model: NetClassifier, below: StoredEncoder | None) -> dict[str, Tensor]:
    own = {f"model.{key}": value for key, value in model.state_dict().items()}
    return own if below is None else own | {f"below.{key}": value for key, value in below.state_dict().items()}


def _description(model: NetClassifier, below: StoredEncoder | None) -> dict[str, Any]:
    described = {"type": "gradient", "net": describe_net(model.net.config), "head": model.head.out_features, "length": model.length}
    return described if below is None else described | {"below": describe_encoder(below)}


def _restored(info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[NetClassifier, StoredEncoder | None]:
    model = NetClassifier(restore_net(info["net"]), info["head"], torch.Generator(), info.get("length"))
    model.load_state_dict(restored(tensors, "model."))
    return model, restore_encoder(**info["below"], tensors=restored(tensors, "below.")) if info.get("below") else None


def _widened(weights: Mapping[str, Tensor], n_way: int) -> Weights:
    missing = n_way - len(weights["head.bias"])
    heads = {name: weights[name] for name in ("head.weight", "head.bias")}
    grown = {
        name: torch.cat([value, value.mean(0, keepdim=True).expand(max(missing, 0), *value.shape[1:])]) for name, value in heads.items()
    }
    return {**weights, **grown}


class StepSizes(nn.Module):
    """A learned rate for each number of each adapted weight.

    Args:
        weights: What is adapted.
        lr: Where every rate starts.
    """

    def __init__(self, weights: Mapping[str, Tensor], lr: float) -> None:
        super().__init__()
        for name, value in weights.items():
            self.register_parameter(name.replace(".", "/"), nn.Parameter(torch.full_like(value, lr)))

    def rates(self) -> Weights:
        """Return the rates by the names of their weights."""
        return {name.replace("/", "."): value for name, value in self.named_parameters()}


@dataclass(frozen=True)
class Maml:
    """MAML, all tasks of a meta-batch at once.

    Attributes:
        net: The network; its normalization must not store statistics across tasks.
        n_way: Outputs of the head.
        inner: How a task is learned while practicing; ANIL and ProtoMAML are settings of it.
        n_adapt_steps: Inner steps of the exported procedure.
        outer_lr: Adam's first learning rate; it follows half a cosine to 0.
        learn_rates: Whether each adapted number has a rate of its own, which starts at `inner.lr` and is meta-learned (Meta-SGD).
        begin: A network of the form of `net`, but for stored statistics, at whose weights meta-training begins; None for random ones.
        length: Of the vectors that the head sees; see `NetClassifier`.

    Source:
        Finn et al. 2017 (arXiv:1703.03400), algorithm 2, with CACTUs' loss and rates (arXiv:1810.02334, appendix). Departures: the outer
        learning rate is annealed; normalization has a scale only if `net.scale`; gradients are not clipped, which CACTUs' code does on
        photos, at 10 by value. With `begin`, as Ye and Chao 2022 (arXiv:2106.16245), whose network has learned to classify before.
        Meta-SGD: Li et al. 2017 (arXiv:1707.09835), algorithm 1; there rates start at random and one step is
        taken.
    """

    net: NetConfig
    n_way: int = 20
    inner: InnerLoop = field(default_factory=InnerLoop)
    n_adapt_steps: int = 50
    outer_lr: float = 1e-3
    learn_rates: bool = False
    begin: Net | None = None
    length: float | None = None

    def __post_init__(self) -> None:
        if self.net.stored and getattr(self.net, "normalization", "batch") == "batch":
            raise ValueError("MAML's weights move within a task, so statistics stored across tasks do not fit; use stored=False")
        if self.learn_rates and self.inner.head == "prototypes":
            raise ValueError("a head made of prototypes has no rates of its own to learn; take a learned head, or a fixed rate")

    def init(self, rng: Rng) -> ModuleState:
        """Return a fresh network, or one at the weights of `begin`, rates if they are learned, and their optimizer."""
        model = NetClassifier(self.net, self.n_way, rng.torch(), self.length)
        if self.begin is not None:
            begin_at(model.net, self.begin)
        modules: dict[str, nn.Module] = {"model": model}
        if self.inner.head == "prototypes":
            model.head.requires_grad_(False)
        learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if self.learn_rates:
            adapted = {name: value for name, value in model.named_parameters() if self.inner.adapts == "all" or name.startswith("head.")}
            modules["rates"] = StepSizes(adapted, self.inner.lr)
            learned += modules["rates"].parameters()
        return ModuleState(modules, {"adam": torch.optim.Adam(learned, self.outer_lr)})

    def step(self, state: ModuleState, tasks: Sequence[Episode], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Adapt to every task, each of several processes to a part of them, and move the shared weights down the mean query loss."""
        tasks = state.team.portion(tasks)
        assert isinstance(tasks, Episodes)
        optimizer, images = state.optimizers["adam"], tasks.images()
        support, query = images[:, :, : tasks.k_shot].flatten(1, 2), images[:, :, tasks.k_shot :].flatten(1, 2)
        support_labels = tasks.labels(tasks.k_shot).to(images.device)
        query_labels = tasks.labels(tasks.n_query).to(images.device)
        loss, right = self.outer_loss(state, support, support_labels, query, query_labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return state, {"loss": loss.item(), "accuracy": right.item()}

    def outer_loss(
        self,
        state: ModuleState,
        support: Float[Tensor, "n_task n c h w"],
        support_labels: Tensor,
        query: Float[Tensor, "n_task m c h w"],
        query_labels: Tensor,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the mean cross-entropy and accuracy on the queries of every task after adapting to it."""
        model, sizes = state.modules["model"], state.modules.get("rates")
        assert isinstance(model, NetClassifier)
        rates = sizes.rates() if isinstance(sizes, StepSizes) else None
        n_way = int(support_labels.max()) + 1
        weights = dict(model.named_parameters())
        logits = self.inner.run(model, weights, support, support_labels, query, n_way, rates=rates)[1][0]
        right = (logits.detach().argmax(-1) == query_labels).float().mean()
        return task_loss(logits, query_labels).mean() / n_way, right

    def export(self, state: ModuleState) -> GradientProcedure:
        """Return a procedure with a copy of the weights."""
        info = {
            "net": describe_net(self.net),
            "head": self.n_way,
            "length": self.length,
            "inner": asdict(replace(self.inner, n_steps=self.n_adapt_steps)),
        }
        weights = {f"model.{key}": value.clone() for key, value in state.modules["model"].state_dict().items()}
        if isinstance(sizes := state.modules.get("rates"), StepSizes):
            weights |= {f"rates.{key}": value.detach().clone() for key, value in sizes.rates().items()}
        return GradientProcedure.restore(info, weights)
