"""Knows how a network with a linear head is adapted by gradient steps, to all tasks of a batch at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torch.nn.utils import skip_init

from umeta.functional.inner_loop import Weights, inner_loop
from umeta.functional.prototypes import prototypes
from umeta.images.learners.classifier import restored
from umeta.images.nets.conv4 import BatchNorm, Conv4Config
from umeta.images.nets.net import NetConfig, build
from umeta.images.nets.perceptron import MlpConfig
from umeta.images.nets.stacked import stacked_conv4

Statistics = Literal["batch", "stored"]


class NetClassifier(nn.Module):
    """A network with a linear head of `n_way` outputs; shorter tasks use the first ones.

    Args:
        net: The network.
        n_way: Outputs of the head.
        generator: Draws the initial weights.
        length: To which the network's vectors are brought before the head sees them, for a network that was learned by the cosine; None
            leaves them as they are.
    """

    def __init__(self, net: NetConfig, n_way: int, generator: torch.Generator, length: float | None = None) -> None:
        super().__init__()
        self.net, self.length = build(net, generator), length
        self.head: nn.Linear = skip_init(nn.Linear, net.n_dim, n_way)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            nn.init.normal_(self.head.weight, std=net.n_dim**-0.5, generator=generator)
            nn.init.zeros_(self.head.bias)

    def adapted_only(self) -> "NetClassifier":
        """Return self, to be adapted but no longer meta-trained: without second derivatives, normalization has a faster kernel."""
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.once_differentiable = True
        return self.requires_grad_(False)

    def forward(self, images: Float[Tensor, "n c h w"], n_reference: int | None = None) -> Float[Tensor, "n n_way"]:
        """Score images; `n_reference` as in `BatchNorm`."""
        out: Tensor = self.head(self._seen(self.net(images, n_reference)))
        return out

    def embed_tasks(
        self, weights: Mapping[str, Tensor], images: Float[Tensor, "n_task n c h w"], n_reference: int | None = None
    ) -> Float[Tensor, "n_task n dim"]:
        """Return what the head sees of the images of many tasks, with weights that have a leading task axis."""
        return self._seen(self._run_tasks(weights, images, n_reference))

    def _seen(self, vectors: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        return vectors if self.length is None else self.length * F.normalize(vectors, dim=-1)

    def _run_tasks(self, weights: Mapping[str, Tensor], images: Tensor, n_reference: int | None) -> Tensor:
        own, config = restored(weights, "net."), self.net.config
        if isinstance(config, Conv4Config) and config.downsample == "stride":
            return stacked_conv4(config, own, images, n_reference)

        def embed(one: Weights, seen: Tensor) -> Tensor:
            out: Tensor = functional_call(self.net, one, (seen, n_reference))
            return out

        if isinstance(config, MlpConfig) or images.is_cuda:
            embedded: Tensor = vmap(embed)(own, images)
            return embedded
        # On a processor the grouped convolution that vmap makes of the tasks takes up to twice the time of one task after another.
        parts = [seen.contiguous(memory_format=torch.channels_last) for seen in images]
        return torch.stack([embed({name: value[task] for name, value in own.items()}, seen) for task, seen in enumerate(parts)])


def task_loss(logits: Float[Tensor, "*batch n n_way"], labels: Int[Tensor, " n"]) -> Float[Tensor, "*batch"]:
    """Return the sum over classes of the mean cross-entropy of their examples, CACTUs' inner and outer loss.

    It is `n_way` times the mean over all examples, which is why its rate of 0.05 is 0.25 for the mean at 5-way and 1.0 at 20-way.
    """
    lead = logits.shape[:-2]
    each = F.cross_entropy(logits.flatten(0, -2), labels.repeat(lead.numel()), reduction="none")
    return logits.shape[-1] * each.view(*lead, -1).mean(-1)


@dataclass(frozen=True)
class InnerLoop:
    """How one task is learned.

    Attributes:
        lr: Rate of the gradient steps on `task_loss`.
        n_steps: How many.
        first_order: Leave out second derivatives.
        statistics: "batch": queries are normalized together, so a prediction depends on the other queries (transductive, as published).
            "stored": the support set's statistics under the adapted weights are used for queries (inductive).
        adapts: "all" weights, as published, or only the "head" (ANIL): the network below it then runs once.
        head: "learned": the head starts at shared weights. "prototypes": at $W_k = 2 c_k$, $b_k = -|c_k|^2$ with $c_k$ the mean of the
            embedded examples of class $k$, so that before the first step it scores as ProtoNets do (ProtoMAML), and any number of
            classes has a head of its own.

    Source:
        Raghu et al. 2020 (arXiv:1909.09157) for ANIL; Triantafillou et al. 2020 (arXiv:1903.03096), section 3, for ProtoMAML.
    """

    lr: float = 0.05
    n_steps: int = 5
    first_order: bool = False
    statistics: Statistics = "batch"
    adapts: Literal["all", "head"] = "all"
    head: Literal["learned", "prototypes"] = "learned"

    def run(
        self,
        model: NetClassifier,
        weights: Mapping[str, Tensor],
        support: Float[Tensor, "n_task n c h w"],
        labels: Int[Tensor, " n"],
        query: Float[Tensor, "n_task m c h w"],
        n_way: int,
        *,
        rates: Mapping[str, Tensor] | None = None,
        every_step: bool = False,
    ) -> tuple[Weights, list[Float[Tensor, "n_task m n_way"]]]:
        """Adapt to every task.

        Args:
            model: Gives the structure; its own weights are not used.
            weights: Shared by all tasks.
            support: Of each task.
            labels: Of the support images, the same for every task.
            query: Of each task.
            n_way: Classes.
            rates: A rate for each number of each adapted weight in place of `lr` (Meta-SGD).
            every_step: Whether queries are scored after every step or only after the last.

        Returns:
            The adapted weights, with a leading task axis, and the query logits.
        """
        start = {name: value.expand(len(support), *value.shape) for name, value in weights.items()}
        fixed: Weights = {}

        def below(current: Weights) -> Tensor:
            return model.embed_tasks(current, support)

        def asked(current: Weights) -> Tensor:
            if self.statistics == "batch":
                return model.embed_tasks(current, query)
            return model.embed_tasks(current, torch.cat([support, query], 1), support.shape[1])[:, support.shape[1] :]

        if self.head == "prototypes":
            centers = prototypes(below(start), labels.expand(len(support), -1), n_way)
            start |= {"head.weight": 2 * centers, "head.bias": -centers.square().sum(-1)}
        if self.adapts == "head":
            fixed = {name: value for name, value in start.items() if not name.startswith("head.")}
            start = {name: value for name, value in start.items() if name.startswith("head.")}
            known, wanted = below(fixed), asked(fixed)

        def loss(current: Weights) -> Tensor:
            return task_loss(_linear(current, known if fixed else below(current), n_way), labels).sum()

        def score(current: Weights) -> Tensor:
            return _linear(current, wanted if fixed else asked(current), n_way)

        adapted, seen = inner_loop(
            loss,
            start,
            lr=self.lr if rates is None else rates,
            n_steps=self.n_steps,
            first_order=self.first_order,
            observe=score if every_step else None,
            stacked=True,
        )
        return fixed | adapted, seen if every_step else [score(adapted)]


def _linear(weights: Weights, embedded: Float[Tensor, "n_task n dim"], n_way: int) -> Float[Tensor, "n_task n n_way"]:
    return torch.baddbmm(weights["head.bias"][:, :n_way].unsqueeze(1), embedded, weights["head.weight"][:, :n_way].mT)
