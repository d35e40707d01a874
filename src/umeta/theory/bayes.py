"""Knows the best explorer for a known distribution of goals: the square-root law, and what is left of it under noise."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from umeta.functional.capacity import regret_weights
from umeta.theory.explorer import Explorer
from umeta.theory.planning import best_policies, marginals_of, mixed_policy
from umeta.theory.process import TabularProcess
from umeta.theory.regret import check_prior, regret

MAX_ROUNDS = 200
NEGLIGIBLE = 1e-9


@dataclass(frozen=True, eq=False)
class Bayes:
    """The best memoryless explorer for a prior over goals.

    Attributes:
        explorer: The explorer.
        prior: Shape [n_states].
        value: Its regret.
        bound: No explorer has a lower regret than this. The certificate is global: the problem is convex, and the best response to its
            slope is found by dynamic programming.
    """

    explorer: Explorer
    prior: np.ndarray
    value: float
    bound: float


def square_root_law(prior: Float[np.ndarray, " n_goals"]) -> tuple[Float[np.ndarray, " n_goals"], float]:
    r"""Return the best marginal where any marginal can be had, $\rho(g) \propto \sqrt{p(g)}$, and its regret $(\sum_g \sqrt{p(g)})^2$.

    Neither $\rho = p$ nor the uniform $\rho$ is best: both have regret $n$, whatever the prior.

    Raises:
        InputError: The prior is not a distribution.
    """
    check_prior(prior, len(prior))
    root = np.sqrt(prior)
    return root / root.sum(), float(root.sum() ** 2)


def bayes_explorer(process: TabularProcess, prior: Float[np.ndarray, " n_states"], *, tolerance: float = 1e-6) -> Bayes:
    r"""Minimize $\sum_g p(g) / \rho(g)$ over everything that policies can do, by column generation.

    Args:
        process: What is explored.
        prior: Probability of each state of being the goal.
        tolerance: Relative, between value and bound.

    Raises:
        InputError: The prior is not a distribution, or has weight on states in which no episode can end.
    """
    check_prior(prior, process.n_states)
    goals = process.goals([int(state) for state in np.flatnonzero(prior > 0)])
    policies, _ = best_policies(process, np.eye(process.n_states)[goals])
    columns = marginals_of(process, policies)
    value = regret(columns.mean(0), prior)
    weights = np.full(len(columns), 1 / len(columns))
    for _ in range(MAX_ROUNDS):
        weights, value = regret_weights(columns, prior, weights, tolerance=tolerance / 4, max_iterations=5000)
        mixture = weights @ columns
        slope = np.zeros(process.n_states)
        slope[goals] = prior[goals] / mixture[goals] ** 2
        response, earned = best_policies(process, slope[None])
        # Convexity: regret(any) >= value + slope . (mixture - any) = 2 value - slope . any.
        bound = 2 * value - float(earned[0])
        if value - bound < tolerance * value:
            break
        kept = weights > NEGLIGIBLE
        policies = np.concatenate([policies[kept], response])
        columns = np.concatenate([columns[kept], marginals_of(process, response)])
        weights = np.append(0.9 * weights[kept] / weights[kept].sum(), 0.1)
    explorer = Explorer.from_policy("Bayes", process, mixed_policy(process, policies, weights))
    return Bayes(explorer, prior, regret(explorer.marginal, prior), bound)
