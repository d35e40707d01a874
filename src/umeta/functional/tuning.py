"""Knows how a linear classifier on fixed vectors is trained on a handful of examples, many tasks at once."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def tune_linear(
    examples: Float[Tensor, "*batch n dim"],
    labels: Int[Tensor, "*batch n"],
    weight: Float[Tensor, "*batch n_way dim"],
    bias: Float[Tensor, "*batch n_way"],
    *,
    temperature: float = 1.0,
    n_steps: int = 15,
    lr: float = 1e-3,
) -> tuple[Float[Tensor, "*batch n_way dim"], Float[Tensor, "*batch n_way"]]:
    r"""Minimize the cross-entropy of $(W x + b) / T$ by Adam, from given $W$ and $b$ on.

    The loss is the sum over tasks of the mean over examples, and Adam moves each number by itself, so no task knows of another.

    Returns:
        The tuned weight and bias, cut off from any gradient.

    Source:
        Medina et al. 2020 (arXiv:2006.11325), section 3.2, ProtoTune. Departure: each of the 15 epochs is one step on all examples.
    """
    weight, bias = weight.detach().clone().requires_grad_(), bias.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([weight, bias], lr)
    n_tasks = labels[..., 0].numel()
    with torch.enable_grad():
        for _ in range(n_steps):
            logits = (examples.detach() @ weight.mT + bias.unsqueeze(-2)) / temperature
            loss = n_tasks * F.cross_entropy(logits.flatten(0, -2), labels.flatten())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return weight.detach(), bias.detach()
