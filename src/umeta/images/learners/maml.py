"""Knows Model-Agnostic Meta-Learning: learn the weights from which a few gradient steps reach any task."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torch.nn.utils import skip_init

from umeta.core.metalearner import Metrics
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.inner_loop import Weights, inner_loop
from umeta.images.episode import Episode, Episodes, Examples
from umeta.images.learners.classifier import restored
from umeta.images.nets.conv4 import BatchNorm, Conv4, Conv4Config

Statistics = Literal["batch", "stored"]


class Conv4Classifier(nn.Module):
    """A Conv4 with a linear head of `n_way` outputs; shorter tasks use the first ones."""

    def __init__(self, net: Conv4Config, n_way: int, generator: torch.Generator) -> None:
        super().__init__()
        self.net = Conv4(net, generator)
        self.head: nn.Linear = skip_init(nn.Linear, net.n_dim, n_way)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            nn.init.normal_(self.head.weight, std=net.n_dim**-0.5, generator=generator)
            nn.init.zeros_(self.head.bias)

    def adapted_only(self) -> "Conv4Classifier":
        """Return self, to be adapted but no longer meta-trained: without second derivatives, normalization has a faster kernel."""
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.once_differentiable = True
        return self.requires_grad_(False)

    def forward(self, images: Float[Tensor, "n c h w"], n_reference: int | None = None) -> Float[Tensor, "n n_way"]:
        """Score images; `n_reference` as in `BatchNorm`."""
        out: Tensor = self.head(self.net(images, n_reference))
        return out


def task_loss(logits: Float[Tensor, "n n_way"], labels: Tensor) -> Float[Tensor, ""]:
    """Return the sum over classes of the mean cross-entropy of their examples, CACTUs' inner and outer loss.

    It is `n_way` times the mean over all examples, which is why its rate of 0.05 is 0.25 for the mean at 5-way and 1.0 at 20-way.
    """
    return logits.shape[-1] * F.cross_entropy(logits, labels)


@dataclass(frozen=True)
class InnerLoop:
    """How one task is learned.

    Attributes:
        lr: Rate of the gradient steps on `task_loss`.
        n_steps: How many.
        first_order: Leave out second derivatives.
        statistics: "batch": queries are normalized together, so a prediction depends on the other queries (transductive, as published).
            "stored": the support set's statistics under the adapted weights are used for queries (inductive).
    """

    lr: float = 0.05
    n_steps: int = 5
    first_order: bool = False
    statistics: Statistics = "batch"

    def run(
        self, model: nn.Module, weights: Mapping[str, Tensor], support: Examples, query: Tensor, *, every_step: bool
    ) -> tuple[Weights, list[Tensor]]:
        """Adapt to one task; returns the adapted weights and the query logits after every step, or only after the last."""
        n_way, labels = support.n_way, support.labels

        def loss(current: Weights) -> Tensor:
            return task_loss(functional_call(model, current, (support.images,))[:, :n_way], labels)

        def score(current: Weights) -> Tensor:
            if self.statistics == "batch":
                scores: Tensor = functional_call(model, current, (query,))
                return scores[:, :n_way]
            together = torch.cat([support.images, query])
            logits: Tensor = functional_call(model, current, (together, len(support.images)))
            return logits[len(support.images) :, :n_way]

        adapted, seen = inner_loop(
            loss,
            weights,
            lr=self.lr,
            n_steps=self.n_steps,
            first_order=self.first_order,
            observe=score if every_step else None,
        )
        return adapted, seen if every_step else [score(adapted)]


@dataclass(frozen=True)
class GradientClassifier:
    """A network whose weights were adapted to one task, with the support set that normalizes queries where statistics are stored."""

    model: Conv4Classifier
    support: Tensor
    n_way: int
    statistics: Statistics

    @torch.no_grad()
    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n n_way"]:
        """Score images."""
        if self.statistics == "batch":
            scores: Tensor = self.model(images)
            return scores[:, : self.n_way]
        together: Tensor = self.model(torch.cat([self.support, images]), len(self.support))
        return together[len(self.support) :, : self.n_way]

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and support images."""
        return {"support": self.support, **{f"model.{key}": value for key, value in self.model.state_dict().items()}}

    def describe(self) -> dict[str, Any]:
        """Return type, network and mode."""
        head = self.model.head.out_features
        net = asdict(self.model.net.config)
        return {"type": "gradient", "net": net, "head": head, "n_way": self.n_way, "statistics": self.statistics}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "GradientClassifier":
        """Rebuild from an artifact."""
        model = Conv4Classifier(Conv4Config(**info["net"]), info["head"], torch.Generator())
        model.load_state_dict(restored(tensors, "model."))
        return cls(model.requires_grad_(False), tensors["support"], info["n_way"], info["statistics"])


@dataclass(frozen=True)
class GradientProcedure:
    """Adapt by gradient steps from shared weights: MAML's after meta-training, training from scratch before it.

    Attributes:
        model: The shared weights; never changed.
        inner: How a task is learned.
        every_step: Whether `logits` scores queries after every step or only after the last.
        chunk_images: About how many support images `logits` works on at once: more no longer fit into a processor's cache.
    """

    model: Conv4Classifier
    inner: InnerLoop
    every_step: bool = True
    chunk_images: int = 160

    @property
    def transductive(self) -> bool:
        """True where queries are normalized together."""
        return self.inner.statistics == "batch"

    @property
    def encoder(self) -> Conv4:
        """The network below the head, as it is before adaptation; its normalization sees the images of a call together."""
        return self.model.net

    def adapt(self, support: Examples, rng: Rng) -> GradientClassifier:
        """Take `inner.n_steps` gradient steps on the support set; a class beyond the head starts from the head's mean row."""
        model, weights = self._widened(support.n_way)
        adapted, _ = replace(self.inner, first_order=True).run(model, weights, support, support.images, every_step=False)
        fresh = Conv4Classifier(self.model.net.config, model.head.out_features, torch.Generator())
        fresh.load_state_dict({name: value.detach() for name, value in adapted.items()})
        return GradientClassifier(fresh.requires_grad_(False), support.images, support.n_way, self.inner.statistics)

    @torch.no_grad()
    def logits(self, episodes: Episodes, rng: Rng) -> Float[Tensor, "n_stage n_task n_query n_way"]:
        """Adapt to all tasks of a chunk in one vmapped call; stage `i` is after `i` steps, or there is one, after the last."""
        model, weights = self._widened(episodes.n_way)
        labels = episodes.labels(episodes.k_shot)
        inner = replace(self.inner, first_order=True)

        def one(support: Tensor, query: Tensor) -> Tensor:
            examples = Examples(support, labels.to(support.device), episodes.n_way)
            return torch.stack(inner.run(model, weights, examples, query, every_step=self.every_step)[1])

        parts = []
        for chunk in episodes.chunk(min(max(self.chunk_images // len(labels), 4), 25)):
            images = chunk.images()
            support, query = images[:, :, : chunk.k_shot].flatten(1, 2), images[:, :, chunk.k_shot :].flatten(1, 2)
            parts.append(vmap(one)(support, query))
        return torch.cat(parts).transpose(0, 1)

    def _widened(self, n_way: int) -> tuple[Conv4Classifier, Weights]:
        weights = {name: value.detach() for name, value in self.model.named_parameters()}
        missing = n_way - self.model.head.out_features
        if missing <= 0:
            return self.model, weights
        for name in ("head.weight", "head.bias"):
            mean = weights[name].mean(0, keepdim=True)
            weights[name] = torch.cat([weights[name], mean.expand(missing, *mean.shape[1:])])
        wide = Conv4Classifier(self.model.net.config, n_way, torch.Generator())
        return wide.adapted_only().to(weights["head.bias"].device), weights

    def tensors(self) -> dict[str, Tensor]:
        """Return the shared weights."""
        return {f"model.{key}": value for key, value in self.model.state_dict().items()}

    def describe(self) -> dict[str, Any]:
        """Return type, network and inner loop."""
        head = self.model.head.out_features
        return {"type": "gradient", "net": asdict(self.model.net.config), "head": head, "inner": asdict(self.inner)}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "GradientProcedure":
        """Rebuild from an artifact."""
        model = Conv4Classifier(Conv4Config(**info["net"]), info["head"], torch.Generator())
        model.load_state_dict(restored(tensors, "model."))
        return cls(model.adapted_only(), InnerLoop(**info["inner"]))

    @classmethod
    def from_scratch(cls, net: Conv4Config, n_way: int, rng: Rng, *, lr: float = 0.1, n_steps: int = 200) -> "GradientProcedure":
        """Return the baseline that starts every task at the same random weights.

        Source:
            CACTUs' code trains it with rate 0.1 on the summed loss for 200 steps.
        """
        model = Conv4Classifier(net, n_way, rng.torch()).adapted_only()
        return cls(model, InnerLoop(lr=lr, n_steps=n_steps, first_order=True), every_step=False)


@dataclass(frozen=True)
class Maml:
    """MAML, all tasks of a meta-batch in one vmapped call.

    Attributes:
        net: The network; its normalization must not store statistics across tasks.
        n_way: Outputs of the head.
        inner: How a task is learned while practicing.
        n_adapt_steps: Inner steps of the exported procedure.
        outer_lr: Adam's first learning rate; it follows half a cosine to 0.

    Source:
        Finn et al. 2017 (arXiv:1703.03400), algorithm 2, with CACTUs' loss and rates (arXiv:1810.02334, appendix). Departure: the outer
        learning rate is annealed; normalization has a scale only if `net.scale`.
    """

    net: Conv4Config
    n_way: int = 20
    inner: InnerLoop = field(default_factory=InnerLoop)
    n_adapt_steps: int = 50
    outer_lr: float = 1e-3

    def __post_init__(self) -> None:
        if self.net.stored:
            raise ValueError("MAML's weights move within a task, so statistics stored across tasks do not fit; use stored=False")

    def init(self, rng: Rng) -> ModuleState:
        """Return a fresh network and its optimizer."""
        model = Conv4Classifier(self.net, self.n_way, rng.torch())
        return ModuleState({"model": model}, {"adam": torch.optim.Adam(model.parameters(), self.outer_lr)})

    def step(self, state: ModuleState, tasks: Sequence[Episode], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Adapt to every task and move the shared weights down the mean query loss."""
        assert isinstance(tasks, Episodes)
        model, optimizer = state.modules["model"], state.optimizers["adam"]
        images = tasks.images()
        support, query = images[:, :, : tasks.k_shot].flatten(1, 2), images[:, :, tasks.k_shot :].flatten(1, 2)
        support_labels = tasks.labels(tasks.k_shot).to(images.device)
        query_labels = tasks.labels(tasks.n_query).to(images.device)
        weights = dict(model.named_parameters())

        def one(own_support: Tensor, own_query: Tensor) -> tuple[Tensor, Tensor]:
            examples = Examples(own_support, support_labels, tasks.n_way)
            logits = self.inner.run(model, weights, examples, own_query, every_step=False)[1][0]
            return task_loss(logits, query_labels), (logits.argmax(-1) == query_labels).float().mean()

        losses, right = vmap(one)(support, query)
        loss = losses.mean() / tasks.n_way
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return state, {"loss": loss.item(), "accuracy": right.mean().item()}

    def export(self, state: ModuleState) -> GradientProcedure:
        """Return a procedure with a copy of the weights."""
        info = {
            "net": asdict(self.net),
            "head": self.n_way,
            "inner": asdict(replace(self.inner, n_steps=self.n_adapt_steps)),
        }
        weights = {f"model.{key}": value.clone() for key, value in state.modules["model"].state_dict().items()}
        return GradientProcedure.restore(info, weights)
