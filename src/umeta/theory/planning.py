"""Knows exact dynamic programming: the best policy for a reward at the end, and where policies end, many at once."""

import numpy as np
from jaxtyping import Float, Int

from umeta.theory.process import TabularProcess

TIE = 1e-12


def best_policies(
    process: TabularProcess, rewards: Float[np.ndarray, "n_rewards n_states"]
) -> tuple[Int[np.ndarray, "n_rewards horizon n_states"], Float[np.ndarray, " n_rewards"]]:
    """Return, for each reward of the last state, a deterministic policy that earns most, and what it earns.

    Of actions that are equally good, to 12 digits, the first is taken. The choice changes where a policy ends if it misses, and with it the
    numbers of "uniform goals" under noise.
    """
    n_rewards, n_states = rewards.shape
    value = rewards.T
    policies = np.empty((n_rewards, process.horizon, n_states), np.int16)
    slack = TIE * (1 + np.abs(value).max(0))
    for t in reversed(range(process.horizon)):
        earned = (process.transitions @ value).reshape(n_states, process.n_actions, n_rewards)
        value = earned.max(1)
        policies[:, t] = (earned >= value[:, None] - slack).argmax(1).T
    return policies, np.asarray(process.start @ value)


def marginals_of(
    process: TabularProcess, policies: Int[np.ndarray, "n_policies horizon n_states"]
) -> Float[np.ndarray, "n_policies n_states"]:
    """Return the distribution of the last state under each deterministic policy."""
    n_policies, horizon, n_states = policies.shape
    backward = process.transitions.T.tocsr()
    here = np.repeat(process.start[:, None], n_policies, 1)
    state, column = np.arange(n_states)[:, None], np.arange(n_policies)
    for t in range(horizon):
        taken = np.zeros((n_states, process.n_actions, n_policies))
        taken[state, policies[:, t].T, column] = here
        here = backward @ taken.reshape(-1, n_policies)
    return here.T


def marginal_of(process: TabularProcess, policy: Float[np.ndarray, "horizon n_states n_actions"]) -> Float[np.ndarray, " n_states"]:
    """Return the distribution of the last state under a stochastic policy."""
    here = process.start
    for rule in policy:
        here = (here[:, None] * rule).ravel() @ process.transitions
    return np.asarray(here)


def mixed_policy(
    process: TabularProcess,
    policies: Int[np.ndarray, "n_policies horizon n_states"],
    weights: Float[np.ndarray, " n_policies"],
) -> Float[np.ndarray, "horizon n_states n_actions"]:
    """Return the one stochastic policy that visits what a random choice among deterministic ones visits.

    Choosing a skill at the start and running it has the same state marginal at every step as this policy, which needs no memory of the
    choice. States that no policy of positive weight visits act uniformly.
    """
    n_policies, horizon, n_states = policies.shape
    backward = process.transitions.T.tocsr()
    here = process.start[:, None] * weights
    state, column = np.arange(n_states)[:, None], np.arange(n_policies)
    rules = np.empty((horizon, n_states, process.n_actions))
    for t in range(horizon):
        taken = np.zeros((n_states, process.n_actions, n_policies))
        taken[state, policies[:, t].T, column] = here
        rules[t] = conditional(taken.sum(2))
        here = backward @ taken.reshape(-1, n_policies)
    return rules


def conditional(visits: Float[np.ndarray, "n_states n_actions"]) -> Float[np.ndarray, "n_states n_actions"]:
    """Return the share of each action in each state; uniform where there are no visits."""
    total = visits.sum(1, keepdims=True)
    return np.where(total > 0, visits / np.where(total > 0, total, 1), 1 / visits.shape[1])
