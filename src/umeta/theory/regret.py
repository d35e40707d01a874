"""Knows what a memoryless explorer costs: hitting times, regret, worst case, and what a finite number of episodes misses."""

import numpy as np
from jaxtyping import Float, Int

from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.functional.statistics import mean_ci95
from umeta.theory.explorer import Explorer
from umeta.theory.process import TOLERANCE, TabularProcess

MAX_EPISODES = 100_000


def hitting_times(marginal: Float[np.ndarray, " n_states"]) -> Float[np.ndarray, " n_states"]:
    r"""Return the expected number of episodes until each state is where an episode ends, $1 / \rho(g)$; infinite where $\rho(g) = 0$.

    Episodes are independent, so their number until the first success is geometric.
    """
    times: np.ndarray = np.divide(1.0, marginal, out=np.full(len(marginal), np.inf), where=marginal > 0)
    return times


def regret(marginal: Float[np.ndarray, " n_states"], prior: np.ndarray) -> float:
    r"""Return $\sum_g p(g) / \rho(g)$, the expected number of episodes until a goal drawn from `prior` is reached.

    The best procedure, which is told the goal, needs one episode, or more under noise. That constant is the same for all explorers and
    is left in, so this is regret up to a constant. It is infinite if a goal with positive prior is never reached.

    Raises:
        InputError: The prior is not a distribution over the states.

    Source:
        Gupta et al. 2018 (arXiv:1806.04640v3).
    """
    check_prior(prior, len(marginal))
    return float((prior[prior > 0] * hitting_times(marginal)[prior > 0]).sum())


def check_prior(prior: np.ndarray, n: int) -> None:
    """Raise `InputError` unless the prior is a distribution over `n` states or goals."""
    if prior.shape != (n,):
        raise InputError(f"a prior has one probability for each of {n}, and this one has shape {list(prior.shape)}")
    if not np.isfinite(prior).all() or prior.min() < 0 or abs(prior.sum() - 1) > TOLERANCE:
        raise InputError(f"a prior is a distribution; this one has a least entry of {prior.min():.6g} and sums to {prior.sum():.6g}")


def worst_case(marginal: Float[np.ndarray, " n_states"], goals: Int[np.ndarray, " n_goals"]) -> tuple[float, int]:
    r"""Return the regret against the worst prior, $\max_g 1 / \rho(g)$, and the goal that this prior puts all its weight on."""
    times = hitting_times(marginal)[goals]
    return float(times.max()), int(goals[times.argmax()])


def never_reached(marginal: Float[np.ndarray, " n_states"], goals: Int[np.ndarray, " n_goals"]) -> Int[np.ndarray, " n_never"]:
    """Return the goals in which no episode ends: the reason for an infinite regret."""
    return np.asarray(goals[marginal[goals] <= 0])


def missed(marginal: Float[np.ndarray, " n_states"], prior: Float[np.ndarray, " n_states"], n_episodes: int) -> float:
    r"""Return the probability that a goal from `prior` is not reached within a budget, $\sum_g p(g) (1 - \rho(g))^H$."""
    return float((prior * (1 - marginal) ** n_episodes).sum())


def measure_hitting_time(process: TabularProcess, explorer: Explorer, goal: int, n_trials: int, rng: Rng) -> tuple[float, float]:
    """Run the explorer until the goal is hit, many times; returns the mean number of episodes and its 95 % half-width.

    Raises:
        InputError: The explorer never ends in the goal, or so rarely that a trial would take over 100,000 episodes.
    """
    if explorer.marginal[goal] < 1 / MAX_EPISODES:
        raise InputError(
            f"{explorer.name} needs {hitting_times(explorer.marginal)[goal]:.3g} episodes to {process.name(goal)}: too many to run"
        )
    waiting, episodes, times = n_trials, 0, []
    while waiting:
        ends = process.simulate(explorer.policy, waiting, rng.fork("episode", episodes))[:, -1]
        episodes += 1
        n_hit = int((ends == goal).sum())
        times.append(np.full(n_hit, episodes))
        waiting -= n_hit
    return mean_ci95(np.concatenate(times))
