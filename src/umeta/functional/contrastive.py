"""Knows the losses that pull the views of one thing together and push all others away."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def nt_xent(embedding: Float[Tensor, "n_class n_view dim"], temperature: float) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    r"""Let every view find the other views of its class among all views by cosine, softmax over temperature.

    For view $i$ with cosines $s_{ij}$ and positives $P(i)$, the other views of its class:
    $\ell_i = -\frac{1}{|P(i)|} \sum_{p \in P(i)} \log \frac{\exp(s_{ip} / \tau)}{\sum_{j \neq i} \exp(s_{ij} / \tau)}$.

    Args:
        embedding: At least two views of each of at least two classes; of any length, only directions count.
        temperature: $\tau$.

    Returns:
        The mean of $\ell_i$ with gradients, and the share of views whose nearest other view is of their class.

    Source:
        Chen et al. 2020 (arXiv:2002.05709), equation 1, for two views; Khosla et al. 2020 (arXiv:2004.11362), equation 2, for more.

    Example:
        >>> loss, right = nt_xent(torch.eye(3).unsqueeze(1).expand(3, 2, 3), 0.1)
        >>> round(loss.item(), 4), right.item()
        (0.0002, 1.0)
    """
    n_class, n_view, _ = embedding.shape
    flat = F.normalize(embedding.flatten(0, 1), dim=-1)
    own = torch.eye(len(flat), dtype=torch.bool, device=flat.device)
    logits = (flat @ flat.T / temperature).masked_fill(own, -torch.inf)
    label = torch.arange(n_class, device=flat.device).repeat_interleave(n_view)
    positive = (label[:, None] == label) & ~own
    log_share = logits.log_softmax(1).masked_fill(~positive, 0.0)
    right = label[logits.detach().argmax(1)] == label
    return -log_share.sum(1).mean() / (n_view - 1), right.float().mean()


def queue_contrast(
    queries: Float[Tensor, "n dim"], keys: Float[Tensor, "n dim"], queue: Float[Tensor, "m dim"], temperature: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    r"""Let every query find its own key among that and all that wait in a queue.

    $\ell_i = -\log \frac{\exp(q_i k_i / \tau)}{\exp(q_i k_i / \tau) + \sum_j \exp(q_i u_j / \tau)}$, all vectors of length 1.

    Returns:
        The mean of $\ell_i$, and the share of queries that are nearer to their key than to all of the queue.

    Source:
        He et al. 2020, "MoCo" (arXiv:1911.05722), equation 1.
    """
    logits = torch.cat([(queries * keys).sum(1, keepdim=True), queries @ queue.T], 1) / temperature
    right = logits.detach().argmax(1) == 0
    return (logits.logsumexp(1) - logits[:, 0]).mean(), right.float().mean()


def shot_contrast(queries: Float[Tensor, "n dim"], shots: Float[Tensor, "n k dim"], temperature: float) -> Float[Tensor, ""]:
    r"""Let every query find its own shots among the shots of all: an n-way k-shot task with one query a class.

    $\ell_i = \log \sum_{j, l} \exp(q_i s_{jl} / \tau) - \frac{1}{k} \sum_l q_i s_{il} / \tau$; returns its mean.

    Source:
        Khosla et al. 2020 (arXiv:2004.11362), equation 2, as Jang et al. 2023 (arXiv:2303.00996) use it.
    """
    everything = (queries @ shots.flatten(0, 1).T / temperature).logsumexp(1)
    return (everything - (queries * shots.mean(1)).sum(1) / temperature).mean()
