"""Knows the explorer with the least worst-case regret, and the adversary who makes it necessary: one linear program and its dual."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from umeta.core.errors import UmetaError
from umeta.theory.explorer import Explorer
from umeta.theory.occupancy import occupancy
from umeta.theory.planning import best_policies
from umeta.theory.process import TabularProcess

PRECISION = 1e-10
STATUS = {1: "the solver ran out of iterations", 2: "it is infeasible", 3: "it is unbounded", 4: "the solver met numerical difficulties"}


@dataclass(frozen=True, eq=False)
class Minimax:
    """The solution of the game between an explorer and an adversary who chooses the goal.

    Attributes:
        explorer: Ends in its rarest goal as often as any explorer can.
        goals: The states among which the adversary chooses.
        adversary: Shape [n_goals], the least favorable distribution of goals. Practicing on goals drawn from it makes `explorer` optimal.
        value: Worst-case expected hitting time of `explorer`, by running its policy forward.
        bound: No explorer does better than this, by the best response to the adversary, found by dynamic programming.
    """

    explorer: Explorer
    goals: np.ndarray
    adversary: np.ndarray
    value: float
    bound: float

    @property
    def gap(self) -> float:
        """Duality gap in probability, `1 / bound - 1 / value`: how much more often any explorer could end in its rarest goal."""
        return 1 / self.bound - 1 / self.value


def minimax_explorer(process: TabularProcess, goals: list[int] | None = None) -> Minimax:
    r"""Solve $\max_\rho \min_g \rho(g)$ over everything that policies can do, and its dual.

    The dual weights $w$ are the adversary: $\min_w \max_\rho \sum_g w_g \rho(g)$. They are also the least favorable prior for the regret
    $\sum_g p(g) / \rho(g)$, for by Jensen's inequality $\sum_g w_g / \rho(g) \ge 1 / \sum_g w_g \rho(g)$. Both sides of the duality gap
    are recomputed without the solver: one by running the policy, one by dynamic programming.

    Args:
        process: What is explored.
        goals: States that may be the goal; all in which an episode can end if None.

    Raises:
        InputError: A goal cannot be reached at the horizon.
        UmetaError: The solver did not solve the program.

    Source:
        Gupta et al. 2018 (arXiv:1806.04640v3), lemma 1, there for deterministic dynamics, where the answer is uniform. The program for
        any dynamics is ours.
    """
    wanted = process.goals(goals)
    space = occupancy(process)
    n_variables, n_goals = space.flow.shape[1], len(wanted)
    # The unknown is n_goals * min rho, so that it is of the order of one.
    program = linprog(
        np.append(np.zeros(n_variables), -1.0),
        A_ub=sp.csr_array(sp.hstack([-n_goals * space.last[wanted], np.ones((n_goals, 1))])),
        b_ub=np.zeros(n_goals),
        A_eq=sp.csr_array(sp.hstack([space.flow, sp.csr_array((space.flow.shape[0], 1))])),
        b_eq=space.inflow,
        method="highs-ipm",
        options={"primal_feasibility_tolerance": PRECISION, "dual_feasibility_tolerance": PRECISION},
    )
    if program.status != 0:
        raise UmetaError(f"the linear program of the minimax explorer was not solved: {STATUS.get(program.status, program.message)}")
    explorer = Explorer.from_policy("minimax (LP)", process, space.policy(program.x[:-1]))
    adversary = np.maximum(-program.ineqlin.marginals, 0)
    adversary /= adversary.sum()
    reward = np.zeros((1, process.n_states))
    reward[0, wanted] = adversary
    _, best = best_policies(process, reward)
    return Minimax(explorer, wanted, adversary, float(1 / explorer.marginal[wanted].min()), float(1 / best[0]))
