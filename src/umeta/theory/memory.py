"""Knows what an explorer gains that remembers where it has been, which the optimality of uniform exploration leaves out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from umeta.core.rng import Rng
from umeta.theory.planning import best_policies
from umeta.theory.process import TabularProcess


def expected_tries(prior: Float[np.ndarray, " n_goals"]) -> float:
    r"""Return the least expected number of tries to find a goal if every try can test any one goal: the likeliest first, none twice.

    $\sum_k k p_{(k)}$ with the prior in descending order; $(n + 1) / 2$ if it is uniform, which is also the value of the game against an
    adversary. Without memory the same two numbers are $(\sum_g \sqrt{p(g)})^2$ and $n$.

    Example:
        >>> expected_tries(np.full(25, 1 / 25))
        13.0
    """
    return round(float(np.sort(prior)[::-1] @ np.arange(1, len(prior) + 1)), 12)


def missed_with_memory(prior: Float[np.ndarray, " n_goals"], n_episodes: int) -> float:
    """Return the probability that a goal is not among the first `n_episodes` tries, the likeliest first, none twice."""
    return float(np.sort(prior)[::-1][n_episodes:].sum())


def search_bound(distance: Int[np.ndarray, " n_goals"], horizon: int, n_episodes: int) -> float:
    r"""Return a bound that no learner with memory can exceed: its return over a trial, if each step that ends in the goal pays 1.

    One of the goals is drawn uniformly, every episode begins at the start, and nothing is random. Until the goal is met a step can test one
    cell, a cell at distance $d$ not before step $d$; a goal that is met at step $t$ pays in the rest of that episode, and in each later one
    from step $d$ on. The bound is the best assignment of goals to steps; it allows neighbors in time that are none in space, so that the
    optimum lies below it.

    Args:
        distance: Steps from the start to each goal; at the start itself the first step can stay.
        horizon: Steps of an episode.
        n_episodes: Episodes of a trial.

    Returns:
        Mean over goals of the return of the whole trial.

    Example:
        >>> search_bound(np.array([1, 1]), horizon=1, n_episodes=2)
        1.5
    """
    step = np.arange(1, horizon + 1)
    first = np.maximum(distance, 1)[:, None, None]
    later = np.arange(n_episodes - 1, -1, -1)[:, None]
    pays = np.where(step >= first, horizon - step + 1 + later * np.maximum(horizon + 1 - first, 0), 0)
    table = pays.reshape(len(distance), -1)
    goals, slots = linear_sum_assignment(table, maximize=True)
    return float(table[goals, slots].sum() / len(distance))


def measure_without_repeats(process: TabularProcess, n_trials: int, rng: Rng) -> tuple[float, float]:
    """Run the explorer that heads for a random goal in which no episode has ended yet; returns its mean hitting time and worst one.

    Each trial has one goal, every goal in turn; the worst is the largest mean over the trials of one goal. With noise the explorer may end
    elsewhere than where it headed; it crosses off where it ended, for that was not the goal.
    """
    goals = process.goals()
    policies, _ = best_policies(process, np.eye(process.n_states)[goals])
    column = np.full(process.n_states, -1)
    column[goals] = np.arange(len(goals))
    target = np.tile(goals, -(-n_trials // len(goals)))
    open_goals = np.ones((len(target), len(goals)), bool)
    times = np.zeros(len(target), np.int64)
    waiting = np.arange(len(target))
    episode = 0
    while waiting.size:
        generator = rng.fork("episode", episode).numpy()
        aim = (generator.random(open_goals[waiting].shape) * open_goals[waiting]).argmax(1)
        states = process.first_states(len(waiting), generator)
        for t in range(process.horizon):
            states = process.next_states(states, policies[aim, t, states], generator)
        episode += 1
        open_goals[waiting, column[states]] = False
        hit = states == target[waiting]
        times[waiting[hit]] = episode
        waiting = waiting[~hit]
    each = times.reshape(-1, len(goals)).mean(0)
    return float(each.mean()), float(each.max())


@dataclass(frozen=True)
class LookFirst:
    """Expected episodes to the goal among `n` arms, if one more arm never pays but shows which one does.

    Attributes:
        memoryless: Uniform exploration.
        sampling: Posterior sampling: try an arm in proportion to how likely it is the one. It never pulls the arm that shows the
            answer, for that arm is never the one.
        optimal: Look, then go: two episodes, or fewer tries where there are fewer than three arms.
    """

    memoryless: float
    sampling: float
    optimal: float


def look_first(n: int) -> LookFirst:
    """Return what posterior sampling loses where information is worth a detour.

    Source:
        The argument of Gupta et al. 2018 (arXiv:1806.04640v3) that posterior sampling need not be Bayes-optimal; the example is ours.
    """
    tries = expected_tries(np.full(n, 1 / n))
    return LookFirst(float(n), tries, min(2.0, tries))


def measure_posterior_sampling(n: int, n_trials: int, rng: Rng) -> float:
    """Run posterior sampling over `n` arms of which one pays; returns the mean number of pulls until it pays."""
    order: Int[np.ndarray, "n_trials n"] = rng.numpy().random((n_trials, n)).argsort(1)
    return float((order == 0).argmax(1).mean() + 1)
