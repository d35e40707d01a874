"""Knows how embedded examples become a classifier once the network is fixed, one task or a batch of tasks at a time."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.rng import Rng
from umeta.functional.mixture import mixture_centers
from umeta.functional.prototypes import Metric
from umeta.functional.tuning import tune_linear
from umeta.images.learners.classical import Nearest, Regression
from umeta.images.learners.classifier import restored
from umeta.images.nets.context import ContextConfig, ContextTransformer
from umeta.images.nets.perceptron import Perceptron

Fitted = dict[str, Tensor]
POWER = 0.5
SPREAD = 0.1


class Head(Protocol):
    """How a task is learned in an embedding; leading axes are tasks, and none knows of another."""

    @property
    def metric(self) -> Metric:
        """In which geometry the embedding was trained, or is compared."""
        ...

    @property
    def transductive(self) -> bool:
        """Whether a query's scores depend on the other queries."""
        ...

    def fit(self, support: Float[Tensor, "*batch n dim"], labels: Int[Tensor, "*batch n"], n_way: int, rng: Rng) -> Fitted:
        """Return what is kept of embedded examples: tensors, which save and load."""
        ...

    def logits(self, queries: Float[Tensor, "*batch n dim"], fitted: Fitted) -> Float[Tensor, "*batch n n_way"]:
        """Score embedded queries."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return the head's own tensors, equal for all tasks."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the rest, JSON-ready; `type` names the class."""
        ...


@dataclass(frozen=True)
class Prototypes:
    """A class is the mean of its examples; the embedding may be straightened first.

    Attributes:
        metric: In which geometry.
        power: Each coordinate becomes this power of its size, with its sign; 1 leaves it. Another power is followed by length 1.
        mean: Subtracted from every vector, after the power, and the rest brought to length 1; the mean of an unlabeled pool, say. None
            subtracts nothing.

    Source:
        Mean: Wang et al. 2019, "SimpleShot" (arXiv:1911.04623), CL2N; there the base classes' mean, here that of the unlabeled pool. Power:
        Hu et al. 2020 (arXiv:2006.03806), equation 1; there on rectified features, so without signs.
    """

    metric: Metric = field(default_factory=Metric)
    power: float = 1.0
    mean: Tensor | None = None
    transductive: ClassVar[bool] = False

    def straightened(self, embedding: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Apply power and mean."""
        if self.power != 1:
            embedding = F.normalize(embedding.sign() * embedding.abs() ** self.power, dim=-1)
        return embedding if self.mean is None else F.normalize(embedding - self.mean, dim=-1)

    def fit(self, support: Tensor, labels: Tensor, n_way: int, rng: Rng) -> Fitted:
        """Average the examples of each class."""
        return {"centers": self.metric.centers(self.straightened(support), labels, n_way)}

    def logits(self, queries: Tensor, fitted: Fitted) -> Tensor:
        """Score against each center."""
        return self.metric.logits(self.straightened(queries), fitted["centers"])

    def tensors(self) -> dict[str, Tensor]:
        """Return the mean, if there is one."""
        return {} if self.mean is None else {"mean": self.mean}

    def describe(self) -> dict[str, Any]:
        """Return type, metric and power."""
        return {"type": "prototypes", "metric": asdict(self.metric), "power": self.power}


@dataclass(frozen=True)
class Tuned:
    """A linear classifier that starts as prototypes and is trained on the support set; the network stays as it is.

    Attributes:
        metric: Whose prototypes it starts from: $W = 2c, b = -|c|^2$ in a Euclidean one; $W = c, b = 0$ on vectors of length 1 in a
            cosine one, where the scores are then the same.
        n_steps: Of Adam.
        lr: Of Adam.

    Source:
        ProtoTune, Medina et al. 2020 (arXiv:2006.11325); the cosine form is ours.
    """

    metric: Metric = field(default_factory=Metric)
    n_steps: int = 15
    lr: float = 1e-3
    transductive: ClassVar[bool] = False

    def fit(self, support: Tensor, labels: Tensor, n_way: int, rng: Rng) -> Fitted:
        """Train on the support set."""
        centers = self.metric.centers(support, labels, n_way)
        euclidean = self.metric.kind == "euclidean"
        weight, bias = (2 * centers, -centers.square().sum(-1)) if euclidean else (centers, torch.zeros_like(centers[..., 0]))
        weight, bias = tune_linear(
            self._scaled(support), labels, weight, bias, temperature=self.metric.temperature, n_steps=self.n_steps, lr=self.lr
        )
        return {"weight": weight, "bias": bias}

    def logits(self, queries: Tensor, fitted: Fitted) -> Tensor:
        """Score by the tuned classifier."""
        return (self._scaled(queries) @ fitted["weight"].mT + fitted["bias"].unsqueeze(-2)) / self.metric.temperature

    def _scaled(self, embedding: Tensor) -> Tensor:
        return embedding if self.metric.kind == "euclidean" else F.normalize(embedding, dim=-1)

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return type and settings."""
        return {"type": "tuned", "metric": asdict(self.metric), "n_steps": self.n_steps, "lr": self.lr}


@dataclass(frozen=True)
class Mixture:
    """Classes as components of a mixture, fitted to the support set and to all queries that are asked together: transductive.

    Attributes:
        metric: In which geometry; its temperature is the components' spread.
        n_iterations: Of expectation and maximization.

    Source:
        See `mixture_centers`.
    """

    metric: Metric = field(default_factory=Metric)
    n_iterations: int = 10
    transductive: ClassVar[bool] = True

    def fit(self, support: Tensor, labels: Tensor, n_way: int, rng: Rng) -> Fitted:
        """Keep the support set; the fit waits for the queries."""
        return {"support": support, "member": F.one_hot(labels.long(), n_way).to(support.dtype)}

    def logits(self, queries: Tensor, fitted: Fitted) -> Tensor:
        """Fit the mixture to support and queries, and score the queries by it."""
        centers = mixture_centers(fitted["support"], fitted["member"], queries, self.metric, self.n_iterations)
        return self.metric.logits(queries, centers)

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return type and settings."""
        return {"type": "mixture", "metric": asdict(self.metric), "n_iterations": self.n_iterations}


@dataclass(frozen=True)
class Projected:
    """Prototypes behind a projector, asked through a further predictor: a query is brought to where its class's shots are.

    Attributes:
        projector: Maps embedded shots and queries.
        predictor: Maps projected queries.
        metric: By the cosine.

    Source:
        Jang et al. 2023 (arXiv:2303.00996), section 3.3.
    """

    projector: Perceptron
    predictor: Perceptron
    metric: Metric = field(default_factory=lambda: Metric("cosine", 0.2))
    transductive: ClassVar[bool] = False

    def fit(self, support: Tensor, labels: Tensor, n_way: int, rng: Rng) -> Fitted:
        """Average the projected examples of each class."""
        return {"centers": self.metric.centers(_each(self.projector, support), labels, n_way)}

    def logits(self, queries: Tensor, fitted: Fitted) -> Tensor:
        """Score projected and predicted queries against each center."""
        return self.metric.logits(_each(self.predictor, _each(self.projector, queries)), fitted["centers"])

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights of both."""
        named = {"projector": self.projector, "predictor": self.predictor}
        return {f"{name}.{key}": value for name, module in named.items() for key, value in module.state_dict().items()}

    def describe(self) -> dict[str, Any]:
        """Return type, metric and sizes."""
        return {"type": "projected", "metric": asdict(self.metric), "sizes": self.projector.sizes}

    @classmethod
    def restore(cls, metric: Metric, sizes: tuple[int, int, int], **tensors: Tensor) -> "Projected":
        """Rebuild from an artifact."""
        n_in, n_hidden, n_out = sizes
        projector = Perceptron(n_in, n_hidden, n_out, torch.Generator(), normalized=True)
        predictor = Perceptron(n_out, n_hidden, n_out, torch.Generator(), normalized=False)
        for name, module in (("projector.", projector), ("predictor.", predictor)):
            module.load_state_dict(restored(tensors, name))
            module.eval().requires_grad_(False)
        return cls(projector, predictor, metric)


def _each(net: nn.Module, vectors: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch out"]:
    out: Tensor = net(vectors.flatten(0, -2))
    return out.view(*vectors.shape[:-1], -1)


@dataclass(frozen=True)
class InContext:
    """Prototypes that a transformer moves after it has read the support set, and so does it with every query.

    Each class has a random code of a task's own, so there may be any number of classes. Scores are those of the moved vectors under the
    metric, and beside them how well the code that the transformer reads off matches each class's.

    Attributes:
        net: The transformer.
        metric: In which the embedding was trained.
    """

    net: ContextTransformer
    metric: Metric
    transductive: ClassVar[bool] = False

    def fit(self, support: Tensor, labels: Tensor, n_way: int, rng: Rng) -> Fitted:
        """Read the support set."""
        codes = torch.randn(n_way, self.net.config.width, generator=rng.fork("codes").torch(support.device), device=support.device)
        vectors, batch = F.normalize(support, dim=-1), support.shape[:-2]
        memory, moved = self.net.support(_tasks(vectors), _tasks(codes[labels.long()]))
        centers = self.metric.centers(self._moved(vectors, moved), labels, n_way)
        return {"memory": memory.view(*batch, *memory.shape[1:]), "centers": centers, "codes": codes}

    def logits(self, queries: Tensor, fitted: Fitted) -> Tensor:
        """Look each query up."""
        vectors, memory = F.normalize(queries, dim=-1), fitted["memory"]
        moved, read = self.net.queries(_tasks(vectors), memory.reshape(-1, *memory.shape[-3:]))
        named = read.view(*queries.shape[:-1], -1) @ fitted["codes"].T / self.net.config.width**0.5
        scores: Tensor = self.metric.logits(self._moved(vectors, moved), fitted["centers"]) + named
        return scores

    def _moved(self, vectors: Tensor, by: Tensor) -> Tensor:
        # Scores are divided by the temperature; multiplied by it, a move changes them by about its own length.
        return vectors + self.metric.temperature * by.view_as(vectors)

    def tensors(self) -> dict[str, Tensor]:
        """Return the transformer's weights."""
        return dict(self.net.state_dict())

    def describe(self) -> dict[str, Any]:
        """Return type, metric and transformer."""
        return {"type": "in-context", "metric": asdict(self.metric), "net": asdict(self.net.config)}

    @classmethod
    def restore(cls, metric: Metric, net: Mapping[str, int], **tensors: Tensor) -> "InContext":
        """Rebuild from an artifact."""
        made = ContextTransformer(ContextConfig(**net), torch.Generator())
        made.load_state_dict(tensors)
        return cls(made.eval().requires_grad_(False), metric)


def _tasks(vectors: Float[Tensor, "*batch n dim"]) -> Float[Tensor, "b n dim"]:
    return vectors.reshape(-1, *vectors.shape[-2:])


def _straightened(metric: Metric) -> Metric:
    return metric if metric.kind == "cosine" else Metric("cosine", SPREAD)


# Each makes a head from the metric that the embedding was trained in and, on demand, the mean embedding of the unlabeled pool.
HEADS: Mapping[str, Callable[[Metric, Callable[[], Tensor]], Head]] = {
    "prototypes": lambda metric, mean: Prototypes(metric),
    "power": lambda metric, mean: Prototypes(_straightened(metric), POWER),
    "center": lambda metric, mean: Prototypes(_straightened(metric), mean=mean()),
    "tune": lambda metric, mean: Tuned(metric),
    "em": lambda metric, mean: Mixture(metric),
    "linear": lambda metric, mean: Regression(metric),
    "nearest": lambda metric, mean: Nearest(metric),
}


def restore_head(info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Head:
    """Rebuild a head from what `describe` and `tensors` returned."""
    settings = {key: value for key, value in info.items() if key not in ("type", "metric")} | {"metric": Metric(**info["metric"])}
    kinds: dict[str, Callable[..., Head]] = {
        "prototypes": Prototypes,
        "tuned": Tuned,
        "mixture": Mixture,
        "nearest": Nearest,
        "regression": Regression,
        "projected": Projected.restore,
        "in-context": InContext.restore,
    }
    return kinds[info["type"]](**settings, **tensors)
