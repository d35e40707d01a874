"""Knows the occupancy polytope: every policy is a flow through time, every flow a policy."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float

from umeta.theory.planning import conditional
from umeta.theory.process import TabularProcess


@dataclass(frozen=True, eq=False)
class Occupancy:
    """The linear constraints on how often each action is taken in each state at each step.

    A variable is the probability of being in state `s` at step `t` and taking action `a`; there are variables for states that can be
    reached by then only. A vector of them is the occupancy of some policy exactly if it is nonnegative and `flow @ x == inflow`.

    Attributes:
        flow: Sparse, one row per reachable pair of step and state: what goes out minus what comes in.
        inflow: The start distribution in the rows of step 0, and 0 elsewhere.
        last: Sparse, shape [n_states, n_variables]: `last @ x` is the distribution of the last state.
        present: Shape [horizon, n_states], whether a pair of step and state has variables.
    """

    flow: sp.csr_array
    inflow: np.ndarray
    last: sp.csr_array
    present: Bool[np.ndarray, "horizon n_states"]

    def policy(self, variables: Float[np.ndarray, " n_variables"]) -> Float[np.ndarray, "horizon n_states n_actions"]:
        """Return the policy with this occupancy; it acts uniformly where it never comes."""
        horizon, n_states = self.present.shape
        n_actions = len(variables) // int(self.present.sum())
        visits = np.zeros((horizon, n_states, n_actions))
        visits[self.present] = np.maximum(variables, 0).reshape(-1, n_actions)
        return np.stack([conditional(step) for step in visits])


def occupancy(process: TabularProcess) -> Occupancy:
    """Return the polytope of a process.

    Source:
        The dual form of a Markov decision process with a finite horizon (Puterman 1994, section 6.9, there for discounted ones).
    """
    present = process.reach[:-1]
    n_states, n_actions = process.n_states, process.n_actions
    sizes = present.sum(1)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    moves = [process.transitions[np.repeat(layer, n_actions)] for layer in present]
    out = sp.kron(sp.eye_array(int(offsets[-1])), np.ones((1, n_actions)), format="csr")
    blocks: list[list[sp.csr_array | None]] = [[None] * process.horizon for _ in range(process.horizon)]
    for t in range(process.horizon):
        blocks[t][t] = sp.csr_array((sizes[t], sizes[t] * n_actions))
        if t:
            blocks[t][t - 1] = moves[t - 1].T.tocsr()[present[t]]
    arriving = sp.block_array(blocks, format="csr")
    inflow = np.zeros(int(offsets[-1]))
    inflow[: sizes[0]] = process.start[present[0]]
    before = sp.csr_array((n_states, int(offsets[-2]) * n_actions))
    return Occupancy(sp.csr_array(out - arriving), inflow, sp.csr_array(sp.hstack([before, moves[-1].T])), present)
