"""Knows trajectory matching: what it costs to be ready for any reward of a whole episode, and that it is exponential in the horizon."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from umeta.core.errors import InputError
from umeta.theory.process import TabularProcess

MAX_UNROLLED = 20_000


def count_trajectories(process: TabularProcess) -> int:
    """Return how many sequences of states and actions an episode can be, exactly, however large."""
    n_actions = process.n_actions
    after = [process.transitions[[row]].indices.tolist() for row in range(process.transitions.shape[0])]
    ways = [1] * process.n_states
    for _ in range(process.horizon):
        ways = [sum(ways[s] for a in range(n_actions) for s in after[state * n_actions + a]) for state in range(process.n_states)]
    return sum(ways[state] for state in np.flatnonzero(process.start > 0).tolist())


def minimax_trajectory_value(process: TabularProcess) -> float:
    r"""Return the least worst-case hitting time of a trajectory, without listing any.

    Backwards from 1 at the end, $h(s) = \sum_a \max_{s'} h(s') / P(s' | s, a)$: an action must be taken in proportion to the worst that
    can follow it. Without noise it is the number of trajectories, and the best explorer is uniform over them.
    """
    matrix = process.transitions
    owner = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    value = np.ones(process.n_states)
    for _ in range(process.horizon):
        worst = np.zeros(matrix.shape[0])
        positive = matrix.data > 0
        np.maximum.at(worst, owner[positive], value[matrix.indices[positive]] / matrix.data[positive])
        value = worst.reshape(process.n_states, process.n_actions).sum(1)
    begins = process.start > 0
    return float((value[begins] / process.start[begins]).max())


def unroll(process: TabularProcess) -> TabularProcess:
    """Return the process whose states are histories, so that reaching a last state is matching a trajectory.

    Every result about goals then holds for trajectories: `minimax_explorer(unroll(process))`, say. A history that has ended stays.

    Raises:
        InputError: There are more than 20,000 histories, or several starts.
    """
    begins = np.flatnonzero(process.start > 0)
    if len(begins) != 1:
        raise InputError("trajectories are listed from one start state; give the process one")
    n_trajectories = count_trajectories(process)
    if n_trajectories > MAX_UNROLLED:
        raise InputError(f"there are {n_trajectories:,} trajectories; at most {MAX_UNROLLED:,} can be listed: use a shorter horizon")
    n_actions = process.n_actions
    last, layer = [int(begins[0])], [0]
    entries: list[tuple[int, int, float]] = []
    for _ in range(process.horizon):
        children = []
        for history in layer:
            for action in range(n_actions):
                move = process.transitions[[last[history] * n_actions + action]]
                for after, probability in zip(move.indices.tolist(), move.data.tolist(), strict=True):
                    entries.append((history * n_actions + action, len(last), probability))
                    children.append(len(last))
                    last.append(after)
        layer = children
    entries += [(history * n_actions + action, history, 1.0) for history in layer for action in range(n_actions)]
    rows, targets, shares = zip(*entries, strict=True)
    transitions = sp.csr_array((shares, (rows, targets)), shape=(len(last) * n_actions, len(last)))
    return TabularProcess(transitions, np.eye(1, len(last))[0], process.horizon)


def reward_regret(
    marginal: Float[np.ndarray, " n_trajectories"], rewards: Float[np.ndarray, "n_rewards n_trajectories"]
) -> Float[np.ndarray, " n_rewards"]:
    r"""Return, for each reward of trajectories, the expected return that is missed until a best trajectory is seen, to be repeated then.

    $\sum_\tau \rho(\tau) (R^* - R(\tau)) / \rho(\text{best})$; infinite if no best trajectory is ever seen. The learner is granted that it
    knows a best trajectory when it sees one, by knowing $R^*$.
    """
    best = rewards.max(1, keepdims=True)
    found = ((rewards == best) * marginal).sum(1)
    lost = ((best - rewards) * marginal).sum(1)
    return np.where(found > 0, lost / np.where(found > 0, found, 1), np.inf)


def reward_bound(n_trajectories: int) -> int:
    r"""Return the minimax regret over all rewards of trajectories with values in `[0, 1]` in a deterministic process, $N - 1$.

    No memoryless explorer has less: some trajectory has $\rho(\tau) \le 1 / N$, and a reward of 1 for it alone costs
    $1 / \rho(\tau) - 1$. The uniform explorer has no more: it expects at most $N - 1$ failures, and each misses at most 1.

    Source:
        In the place of the general rewards of Gupta et al. 2018 (arXiv:1806.04640v3), whose argument goes by posterior sampling; this
        bound and its proof are ours.
    """
    return n_trajectories - 1
