"""Knows how classes become points in an embedding, and how near a query is to each."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def weighted_means(embedding: Float[Tensor, "*batch n dim"], member: Float[Tensor, "*batch n n_way"]) -> Float[Tensor, "*batch n_way dim"]:
    """Average examples by how much each belongs to each class; a class to which nothing belongs is NaN.

    Example:
        >>> weighted_means(torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0, 0.5], [1.0, 1.5]])).flatten()
        tensor([2., 3.])
    """
    return member.mT @ embedding / member.sum(-2).unsqueeze(-1)


def prototypes(embedding: Float[Tensor, "*batch n dim"], labels: Int[Tensor, "*batch n"], n_way: int) -> Float[Tensor, "*batch n_way dim"]:
    r"""Average the examples of each class, however many each has: $c_k = \frac{1}{|S_k|} \sum_{i \in S_k} f(x_i)$.

    Args:
        embedding: One vector per example.
        labels: Class of each example in `[0, n_way)`; every class has at least one example, else its prototype is NaN.
        n_way: Number of classes.

    Returns:
        One vector per class; gradients flow to the embedding.

    Source:
        Snell et al. 2017 (arXiv:1703.05175), equation 1.

    Example:
        >>> prototypes(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 1]), 2).flatten()
        tensor([1., 5.])
    """
    return weighted_means(embedding, F.one_hot(labels.long(), n_way).to(embedding.dtype))


def squared_distance_logits(
    queries: Float[Tensor, "*batch n dim"], centers: Float[Tensor, "*batch n_way dim"]
) -> Float[Tensor, "*batch n n_way"]:
    r"""Score each class by minus the squared Euclidean distance to its center, $-\|f(x) - c_k\|^2$.

    Softmax of the result is the posterior of equal spherical Gaussians around the centers. The term $\|f(x)\|^2$, equal for all classes,
    is kept so that the numbers are true distances.

    Source:
        Snell et al. 2017 (arXiv:1703.05175), equation 2.

    Example:
        >>> squared_distance_logits(torch.tensor([[3.0]]), torch.tensor([[1.0], [5.0]]))
        tensor([[-4., -4.]])
    """
    cross = queries @ centers.mT
    return 2 * cross - queries.square().sum(-1, keepdim=True) - centers.square().sum(-1).unsqueeze(-2)


def resplit(
    embedding: Float[Tensor, "n_task n_way n_image dim"], n_splits: int, generator: torch.Generator
) -> Float[Tensor, "n_new n_way n_image dim"]:
    """Make several episodes of each embedded one by drawing anew which images of a class come first, as its support.

    The first split is the given one. An embedding is dear and a distance is cheap, so this multiplies the episodes per second.

    Returns:
        Shape [n_task * n_splits, n_way, n_image, dim].

    Source:
        Ye et al. 2022, "Revisiting Unsupervised Meta-Learning via the Characteristics of Few-Shot Tasks" (arXiv:2011.14663), sufficient
        episodic sampling; here classes stay together and only support and query change.
    """
    if n_splits == 1:
        return embedding
    n_task, n_way, n_image, dim = embedding.shape
    shape = (n_task, n_splits - 1, n_way, n_image)
    order = torch.rand(shape, generator=generator, device=embedding.device).argsort(-1)
    again = embedding.unsqueeze(1).expand(-1, n_splits - 1, -1, -1, -1)
    shuffled = again.gather(3, order.unsqueeze(-1).expand(*shape, dim))
    return torch.cat([embedding.unsqueeze(1), shuffled], 1).flatten(0, 1)


@dataclass(frozen=True)
class Metric:
    """In which geometry classes are points.

    Attributes:
        kind: "euclidean": a class is the mean of its examples, scored by minus the squared distance. "cosine": examples are brought to
            length 1 before they are averaged and the mean again after, scored by the cosine.
        temperature: Scores are divided by it.
    """

    kind: Literal["euclidean", "cosine"] = "euclidean"
    temperature: float = 1.0

    def centers(
        self, embedding: Float[Tensor, "*batch n dim"], labels: Int[Tensor, "*batch n"], n_way: int
    ) -> Float[Tensor, "*batch n_way dim"]:
        """Return the point of each class; see `prototypes`."""
        return self.means(embedding, F.one_hot(labels.long(), n_way).to(embedding.dtype))

    def means(self, embedding: Float[Tensor, "*batch n dim"], member: Float[Tensor, "*batch n n_way"]) -> Float[Tensor, "*batch n_way dim"]:
        """Return the point of each class where examples may belong to several in part; see `weighted_means`."""
        if self.kind == "euclidean":
            return weighted_means(embedding, member)
        return F.normalize(weighted_means(F.normalize(embedding, dim=-1), member), dim=-1)

    def logits(self, queries: Float[Tensor, "*batch n dim"], centers: Float[Tensor, "*batch n_way dim"]) -> Float[Tensor, "*batch n n_way"]:
        """Score each query against the points that `centers` returned."""
        if self.kind == "euclidean":
            return squared_distance_logits(queries, centers) / self.temperature
        return F.normalize(queries, dim=-1) @ centers.mT / self.temperature
