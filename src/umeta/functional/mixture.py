"""Knows how unlabeled examples help to place classes: expectation and maximization over a mixture with one component per class."""

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.functional.prototypes import Metric


def mixture_centers(
    support: Float[Tensor, "*batch n dim"],
    member: Float[Tensor, "*batch n n_way"],
    queries: Float[Tensor, "*batch m dim"],
    metric: Metric,
    n_iterations: int,
) -> Float[Tensor, "*batch n_way dim"]:
    r"""Move classes to where their examples and the queries that seem to be theirs are.

    From the prototypes of the support on, $n$ times: $r_{ik} = \mathrm{softmax}_k\, s(x_i, c_k)$ for every query (expectation), then $c_k$
    is the mean of the support of class $k$ and of all queries by $r_{ik}$ (maximization). Under a Euclidean metric these are equal
    spherical Gaussians of variance $T / 2$, under a cosine one von Mises-Fisher components of concentration $1 / T$, with equal weights.

    Args:
        support: Labeled examples.
        member: 1 where an example is of a class, else 0; these never change.
        queries: Unlabeled examples; every one moves the classes, which is why what follows is transductive.
        metric: Its temperature $T$ is the spread of the components: the one that practice has fitted.
        n_iterations: How often; 0 gives prototypes.

    Returns:
        The point of each class, as `metric.means` gives it.

    Source:
        Lee et al. 2021, "Meta-GMVAE" (ICLR), section 3.3, semi-supervised expectation-maximization at meta-test time. Departures: on a
        deterministic embedding instead of samples of a variational posterior; the components' spread is the metric's and stays fixed,
        where the authors' code estimates a variance per dimension.
    """
    centers = metric.means(support, member)
    everything = torch.cat([support, queries], -2)
    for _ in range(n_iterations):
        share = metric.logits(queries, centers).softmax(-1)
        centers = metric.means(everything, torch.cat([member, share], -2))
    return centers
