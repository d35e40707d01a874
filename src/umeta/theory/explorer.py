"""Knows what an explorer is: one fixed stochastic policy, run again every episode until the goal is hit, and where it ends."""

from dataclasses import dataclass

import numpy as np

from umeta.theory.planning import best_policies, marginal_of, mixed_policy
from umeta.theory.process import TabularProcess


@dataclass(frozen=True, eq=False)
class Explorer:
    """A memoryless learning procedure: explore by `policy` until the goal is reached, then repeat what reached it.

    Attributes:
        name: What tables call it.
        policy: Shape [horizon, n_states, n_actions], probability of each action at each step.
        marginal: Shape [n_states], the distribution of the state in which an episode ends; all that its regret depends on.
    """

    name: str
    policy: np.ndarray
    marginal: np.ndarray

    @classmethod
    def from_policy(cls, name: str, process: TabularProcess, policy: np.ndarray) -> "Explorer":
        """Return the explorer of a policy; where it ends is computed, not estimated."""
        return cls(name, policy, marginal_of(process, policy))


def random_walk(process: TabularProcess) -> Explorer:
    """Return the explorer that takes every action alike."""
    shape = (process.horizon, process.n_states, process.n_actions)
    return Explorer.from_policy("random walk", process, np.full(shape, 1 / process.n_actions))


def uniform_goals(process: TabularProcess, goals: list[int] | None = None) -> Explorer:
    """Return the explorer that draws a goal uniformly in each episode and follows the best policy for it.

    Without noise it ends in every goal alike. With noise it also ends where its misses take it, and is no longer uniform.
    """
    wanted = process.goals(goals)
    policies, _ = best_policies(process, np.eye(process.n_states)[wanted])
    weights = np.full(len(wanted), 1 / len(wanted))
    return Explorer.from_policy("uniform goals", process, mixed_policy(process, policies, weights))
