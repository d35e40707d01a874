"""Knows how to weigh given distributions: for the most information about which one was drawn, or for the least regret of a known prior."""

import numpy as np
from jaxtyping import Float

TINY = 1e-300


def divergences(distributions: Float[np.ndarray, "n n_outcomes"], reference: Float[np.ndarray, " n_outcomes"]) -> Float[np.ndarray, " n"]:
    r"""Return $\mathrm{KL}(\rho_i \| q)$ in nats for each row; infinite where the reference lacks an outcome of the row.

    Example:
        >>> divergences(np.array([[1.0, 0.0]]), np.array([0.5, 0.5])).round(4)
        array([0.6931])
    """
    safe = np.where(distributions > 0, distributions, 1)
    lost = ((reference <= 0) & (distributions > 0)).any(1)
    cross = (distributions * np.log(np.where(reference > 0, reference, 1))).sum(1)
    return np.where(lost, np.inf, (distributions * np.log(safe)).sum(1) - cross)


def capacity_weights(
    distributions: Float[np.ndarray, "n n_outcomes"],
    weights: Float[np.ndarray, " n"] | None = None,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 100_000,
) -> tuple[Float[np.ndarray, " n"], float]:
    r"""Return the weights that maximize the information $I(z; s)$ between a row's index and an outcome, and the information in nats.

    Weights are multiplied by $\exp(\mathrm{KL}(\rho_i \| q) - I)$, with $q$ the mixture, until no row is further from $q$ than $I$ plus the
    tolerance. That is a certificate for these rows: the capacity lies between $I$ and $\max_i \mathrm{KL}(\rho_i \| q)$.

    Args:
        distributions: One distribution per row.
        weights: Where to begin, all positive; uniform if None.
        tolerance: In nats.
        max_iterations: Stop there at the latest; the caller sees from `divergences` how far it came.

    Source:
        Blahut 1972 and Arimoto 1972.
    """
    current = np.full(len(distributions), 1 / len(distributions)) if weights is None else weights / weights.sum()
    rows = distributions[:, (distributions > 0).any(0)]
    negative_entropy = (rows * np.log(np.where(rows > 0, rows, 1))).sum(1)
    for _ in range(max_iterations):
        distance = negative_entropy - rows @ np.log(np.maximum(current @ rows, TINY))
        information = float(current @ distance)
        if distance.max() - information < tolerance:
            break
        current = current * np.exp(distance - information)
        current = current / current.sum()
    return current, float(current @ divergences(distributions, current @ distributions))


def regret_weights(
    distributions: Float[np.ndarray, "n n_outcomes"],
    prior: Float[np.ndarray, " n_outcomes"],
    weights: Float[np.ndarray, " n"] | None = None,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 100_000,
) -> tuple[Float[np.ndarray, " n"], float]:
    r"""Return the weights whose mixture $\rho$ minimizes the regret $\sum_g p(g) / \rho(g)$, and that regret.

    Weights are multiplied by the square root of $\sum_g p(g) \rho_i(g) / \rho(g)^2$, which never raises the regret. Where the rows are
    single outcomes one step is exact: $\rho(g) \propto \sqrt{p(g)}$, the square-root law.

    Args:
        distributions: One distribution per row; outcomes of positive prior must occur in some row.
        prior: Probability of each outcome of being the goal.
        weights: Where to begin, all positive; uniform if None.
        tolerance: Relative, on how much the regret can still fall.
        max_iterations: Stop there at the latest.

    Source:
        The multiplicative algorithm for A-optimal designs (Silvey, Titterington and Torgersen 1978; monotone with the square root by Yu
        2010, arXiv:0911.0108).
    """
    current = np.full(len(distributions), 1 / len(distributions)) if weights is None else weights / weights.sum()
    wanted = prior > 0
    rows, share = distributions[:, wanted], prior[wanted]
    for _ in range(max_iterations):
        mixture = current @ rows
        slope = rows @ (share / mixture**2)
        regret = float((share / mixture).sum())
        if slope.max() - regret < tolerance * regret:
            break
        current = current * np.sqrt(slope)
        current = current / current.sum()
    return current, float((share / (current @ rows)).sum())
