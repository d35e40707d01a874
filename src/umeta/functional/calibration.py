"""Knows how honest probabilities are, and the one number that makes them more so."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def expected_calibration_error(confidence: Float[Tensor, " n"], right: Float[Tensor, " n"], n_bins: int = 15) -> float:
    r"""Return how far confidence is from accuracy: $\sum_b \frac{n_b}{n} |\mathrm{acc}_b - \mathrm{conf}_b|$ over bins of equal width.

    Args:
        confidence: Probability of the answer given, in `[0, 1]`.
        right: 1 where the answer is right, else 0.
        n_bins: Of confidence.

    Raises:
        ValueError: There is no answer.

    Source:
        Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599), equation 3, with their 15 bins.

    Example:
        >>> expected_calibration_error(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0]))
        0.5
    """
    if len(confidence) == 0:
        raise ValueError("calibration needs at least one answer")
    place = (confidence * n_bins).long().clamp(max=n_bins - 1)
    gap = torch.zeros(n_bins, dtype=torch.float64, device=confidence.device)
    gap.index_add_(0, place, right.double() - confidence.double())
    return float(gap.abs().sum() / len(confidence))


def fit_temperature(
    logits: Float[Tensor, "*batch n n_way"], labels: Int[Tensor, "*batch n"], prior: float | None = None, spread: float = 0.5
) -> Float[Tensor, "*batch"]:
    r"""Return the $T$ for which $\mathrm{softmax}(z / T)$ tells most of the answers, one for each leading index.

    Args:
        logits: Scores of answers that are known.
        labels: The answers.
        prior: Where $T$ is expected; its logarithm is normal around it. None expects nothing.
        spread: Standard deviation of that logarithm: how far few answers may move it.

    Returns:
        Of 97 values between 1/64 and 64, in steps of an eighth of a doubling, the one of greatest posterior density.

    Source:
        Guo et al. 2017 (arXiv:1706.04599), section 4.2; the prior, for a handful of answers, is ours.

    Example:
        >>> fit_temperature(torch.tensor([[2.0, 0.0]] * 4), torch.tensor([0, 0, 0, 1]))  # 2 / T = log 3
        tensor(1.8340)
    """
    grid = torch.logspace(-6, 6, 97, base=2.0, device=logits.device)
    answers = labels.long().unsqueeze(-1)
    losses = torch.stack([-(logits / t).log_softmax(-1).gather(-1, answers).squeeze(-1).sum(-1) for t in grid], -1)
    if prior is not None:
        losses = losses + (grid / prior).log().square() / (2 * spread**2)
    return grid[losses.argmin(-1)]
