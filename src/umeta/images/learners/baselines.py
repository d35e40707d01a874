"""Knows what can be done without meta-learning: classical classifiers on a frozen embedding."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from umeta.core.rng import Rng
from umeta.functional.prototypes import prototypes
from umeta.images.embed.encoder import Encoder
from umeta.images.episode import Episodes, Examples

Logits = Float[Tensor, "n_task n_query n_way"]
NEVER = -1e9


class Head(Protocol):
    """A classifier on vectors that learns many small tasks at once; every task has the same labels."""

    def __call__(
        self,
        support: Float[Tensor, "n_task n_support dim"],
        labels: Int[Tensor, " n_support"],
        query: Float[Tensor, "n_task n_query dim"],
        n_way: int,
        rng: Rng,
    ) -> Logits:
        """Fit each task on its support set only and score its queries."""
        ...


@dataclass(frozen=True)
class NearestNeighbor:
    """The class of the nearest support example."""

    def __call__(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int, rng: Rng) -> Logits:
        """Score a class by minus the distance to its nearest example."""
        distance = torch.cdist(query, support, compute_mode="donot_use_mm_for_euclid_dist")
        logits = distance.new_full((*query.shape[:2], n_way), -torch.inf)
        return logits.scatter_reduce(2, labels.expand_as(distance), -distance, "amax")


@dataclass(frozen=True)
class LinearClassifier:
    """Multinomial logistic regression with an L2 penalty.

    Attributes:
        inverse_penalty: scikit-learn's C.
    """

    inverse_penalty: float = 1.0

    def __call__(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int, rng: Rng) -> Logits:
        """Score a class by its log-probability."""
        scores = []
        for one_support, one_query in zip(support.numpy(), query.numpy(), strict=True):
            model = LogisticRegression(C=self.inverse_penalty, max_iter=1000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(one_support, labels.numpy())
                scores.append(model.predict_log_proba(one_query))
        return torch.from_numpy(np.stack(scores)).float()


@dataclass(frozen=True)
class Mlp:
    """One hidden layer with dropout, all tasks trained at once by batched matrix products, for a fixed number of epochs.

    Source:
        CACTUs' baseline of the same name. Departure: theirs stops early by the accuracy on the queries; this one never sees them.
    """

    n_hidden: int = 128
    dropout: float = 0.5
    n_epochs: int = 100
    lr: float = 1e-2

    def __call__(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int, rng: Rng) -> Logits:
        """Score a class by its logit, with dropout off."""
        mean, spread = support.mean((1, 2), keepdim=True), support.std((1, 2), keepdim=True) + 1e-6
        support, query = (support - mean) / spread, (query - mean) / spread
        n_task, _, dim = support.shape

        def layer(name: str, n_in: int, n_out: int) -> tuple[Tensor, Tensor]:
            generator = rng.fork(name).torch(support.device)
            weight = torch.randn(n_task, n_in, n_out, generator=generator, device=support.device) * (2 / n_in) ** 0.5
            return weight.requires_grad_(), torch.zeros(n_task, 1, n_out, device=support.device).requires_grad_()

        (w1, b1), (w2, b2) = layer("hidden", dim, self.n_hidden), layer("out", self.n_hidden, n_way)
        optimizer = torch.optim.Adam([w1, b1, w2, b2], self.lr)
        target = labels.to(support.device).repeat(n_task)
        with torch.enable_grad():
            for epoch in range(self.n_epochs):
                generator = rng.fork("dropout", epoch).torch(support.device)
                hidden = F.relu(support @ w1 + b1)
                keep = torch.rand(hidden.shape, generator=generator, device=hidden.device) >= self.dropout
                logits = hidden * keep / (1 - self.dropout) @ w2 + b2
                loss = F.cross_entropy(logits.flatten(0, 1), target) * n_task
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return (F.relu(query @ w1 + b1) @ w2 + b2).detach()


def named_clusters(
    support: Float[Tensor, "n_task n_support dim"], labels: Int[Tensor, " n_support"], centers: Float[Tensor, "k dim"], n_way: int
) -> Int[Tensor, "n_task k"]:
    """Return the class that most support examples in each cluster have, ties to the lower label; `n_way` where there are none."""
    cluster = torch.cdist(support, centers).argmin(-1)
    votes = support.new_zeros(len(support), len(centers), n_way)
    places = (torch.arange(len(support))[:, None], cluster, labels.expand_as(cluster))
    votes.index_put_(places, torch.ones(cluster.shape), accumulate=True)
    return torch.where(votes.sum(-1) > 0, votes.argmax(-1), n_way)


@dataclass(frozen=True)
class ClusterMatching:
    """Name each cluster of the unlabeled pool by the support examples that fall into it, then find the nearest named cluster.

    Attributes:
        centers: Shape [k, dim], from clustering the unlabeled pool.

    Source:
        CACTUs' baseline of the same name: majority vote, ties to the lower label; the nearest cluster among those with a name.
    """

    centers: Tensor

    def __call__(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int, rng: Rng) -> Logits:
        """Score a class by minus the distance to its nearest cluster, very low for a class that won no cluster."""
        owner = named_clusters(support, labels, self.centers, n_way)
        distance = torch.cdist(query, self.centers)
        logits = distance.new_full((*query.shape[:2], n_way + 1), NEVER)
        logits.scatter_reduce_(2, owner.unsqueeze(1).expand_as(distance), -distance, "amax")
        return logits[..., :n_way]


@dataclass(frozen=True)
class ClusterColoring:
    """Give the label of each support example to the members of its cluster in the unlabeled pool, then fit a linear classifier to them all.

    Attributes:
        embedding: Of the unlabeled pool, shape [n, dim].
        cluster: Of each image of the pool, shape [n]; -1 for none.
        centers: Shape [k, dim], in the order of the clusters' numbers.
        most: Members of one cluster that are taken, the nearest to its center.

    Source:
        CACTUs' baseline `cluster_color_logistic_regression`. Departures: a cluster with examples of several classes goes to the majority,
        ties to the lower label; a cluster gives at most `most` members; the examples themselves are fitted too.
    """

    embedding: Tensor
    cluster: Tensor
    centers: Tensor
    most: int = 20

    def __call__(self, support: Tensor, labels: Tensor, query: Tensor, n_way: int, rng: Rng) -> Logits:
        """Score a class by its log-probability."""
        owners = named_clusters(support, labels, self.centers, n_way)
        scores = []
        for one, owner, asked in zip(support, owners, query, strict=True):
            named = (owner < n_way).nonzero().flatten()
            colored = [self._members(int(cluster)) for cluster in named]
            examples = torch.cat([one, *colored])
            names = torch.cat([labels, *(owner[cluster].expand(len(own)) for cluster, own in zip(named, colored, strict=True))])
            # One task at a time: each has another number of examples.
            scores.append(LinearClassifier()(examples[None], names, asked[None], n_way, rng)[0])
        return torch.stack(scores)

    def _members(self, cluster: int) -> Tensor:
        own = self.embedding[self.cluster == cluster]
        return own[torch.cdist(own, self.centers[cluster][None]).flatten().argsort()[: self.most]]


@dataclass(frozen=True)
class EmbeddedClassifier:
    """A frozen encoder with a support set and a head; kept in memory only."""

    encoder: Encoder
    head: Head
    support: Tensor
    labels: Tensor
    n_way: int
    rng: Rng

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n n_way"]:
        """Score images."""
        return self.head(self.support[None], self.labels, self.encoder(images)[None], self.n_way, self.rng)[0]

    def tensors(self) -> dict[str, Tensor]:
        """Return the embedded support set."""
        return {"support": self.support, "labels": self.labels}

    def describe(self) -> dict[str, Any]:
        """Return the type."""
        return {"type": "embedded", "n_way": self.n_way}


@dataclass(frozen=True)
class EmbeddedProcedure:
    """Learn a task by a classical classifier on a frozen embedding; a baseline is just another learning procedure."""

    encoder: Encoder
    head: Head
    transductive: bool = False

    def adapt(self, support: Examples, rng: Rng) -> EmbeddedClassifier:
        """Embed the support set; the head is fitted when queries come."""
        return EmbeddedClassifier(self.encoder, self.head, self.encoder(support.images), support.labels, support.n_way, rng)

    def logits(self, episodes: Episodes, rng: Rng) -> Float[Tensor, "1 n_task n_query n_way"]:
        """Score the queries of every task."""
        embedding = episodes.embedded(self.encoder)
        support, query = (
            embedding[:, :, : episodes.k_shot].flatten(1, 2),
            embedding[:, :, episodes.k_shot :].flatten(1, 2),
        )
        return self.head(support, episodes.labels(episodes.k_shot), query, episodes.n_way, rng).unsqueeze(0)

    def tensors(self) -> dict[str, Tensor]:
        """Return nothing: a baseline is not shipped."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return the type."""
        return {"type": "embedded"}


def compact_clusters(labels: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Number the clusters of a partition from 0 without gaps, in their order; -1 stays."""
    compact = torch.unique(labels[labels >= 0], return_inverse=True)[1]
    numbered = torch.full_like(labels, -1)
    numbered[labels >= 0] = compact
    return numbered


def cluster_centers(embedding: Float[Tensor, "n dim"], labels: Int[Tensor, " n"]) -> Float[Tensor, "k dim"]:
    """Return the mean of each cluster of an unscaled partition, leaving out empty ones."""
    compact = compact_clusters(labels)
    return prototypes(embedding[compact >= 0], compact[compact >= 0], int(compact.max()) + 1)


def registered(encoder: Encoder, embedding: Tensor | None = None, clusters: Tensor | None = None) -> Mapping[str, EmbeddedProcedure]:
    """Return every baseline on an encoder by name; those with clusters only where the pool's embedding and its clusters are given."""
    heads: dict[str, Head] = {"knn": NearestNeighbor(), "linear": LinearClassifier(), "mlp": Mlp()}
    if embedding is not None and clusters is not None:
        centers = cluster_centers(embedding, clusters)
        heads["cluster-matching"] = ClusterMatching(centers)
        heads["cluster-coloring"] = ClusterColoring(embedding, compact_clusters(clusters), centers)
    return {name: EmbeddedProcedure(encoder, head) for name, head in heads.items()}
