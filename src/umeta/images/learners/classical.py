"""Knows the classical classifiers as heads: the nearest example, and regularized logistic regression."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from umeta.core.rng import Rng
from umeta.functional.prototypes import Metric
from umeta.functional.regression import logistic_regression


@dataclass(frozen=True)
class Nearest:
    """A class is as near as the nearest of its examples.

    Attributes:
        metric: In which geometry.
    """

    metric: Metric = field(default_factory=Metric)
    transductive: ClassVar[bool] = False

    def fit(self, support: Tensor, labels: Tensor, n_way: int, rng: Rng) -> dict[str, Tensor]:
        """Keep the examples, each a class of its own to the metric."""
        points = F.normalize(support, dim=-1) if self.metric.kind == "cosine" else support
        return {"points": points, "member": F.one_hot(labels.long(), n_way).to(support.dtype)}

    def logits(self, queries: Tensor, fitted: dict[str, Tensor]) -> Tensor:
        """Score each class by its best example."""
        scores = self.metric.logits(queries, fitted["points"]).unsqueeze(-1)
        return torch.where(fitted["member"].unsqueeze(-3) > 0, scores, torch.finfo(scores.dtype).min).amax(-2)

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return type and metric."""
        return {"type": "nearest", "metric": asdict(self.metric)}


@dataclass(frozen=True)
class Regression:
    """Multinomial logistic regression with an L2 penalty on weights and bias; vectors are brought to length 1 under a cosine metric.

    Attributes:
        metric: In which the embedding was trained.
        inverse_penalty: C of the penalty.
        n_steps: Of descent.

    Source:
        Tian et al. 2020, "Rethinking Few-Shot Image Classification" (arXiv:2003.11539), who show that this on a good embedding is hard to
        beat; see `logistic_regression`.
    """

    metric: Metric = field(default_factory=Metric)
    inverse_penalty: float = 10.0
    n_steps: int = 100
    transductive: ClassVar[bool] = False

    def fit(self, support: Tensor, labels: Tensor, n_way: int, rng: Rng) -> dict[str, Tensor]:
        """Descend on the examples."""
        weight = logistic_regression(self._extended(support), labels, n_way, inverse_penalty=self.inverse_penalty, n_steps=self.n_steps)
        return {"weight": weight}

    def logits(self, queries: Tensor, fitted: dict[str, Tensor]) -> Tensor:
        """Score by the regression."""
        return self._extended(queries) @ fitted["weight"].mT

    def _extended(self, embedding: Tensor) -> Tensor:
        scaled = F.normalize(embedding, dim=-1) if self.metric.kind == "cosine" else embedding
        return F.pad(scaled, (0, 1), value=1.0)

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return type and settings."""
        return {"type": "regression", "metric": asdict(self.metric), "inverse_penalty": self.inverse_penalty, "n_steps": self.n_steps}
