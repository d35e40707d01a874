"""Knows the claims about known priors, memory, trajectories and bandits as numbers: each function computes what one table shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.functional.capacity import divergences
from umeta.theory.bayes import bayes_explorer, square_root_law
from umeta.theory.explorer import Explorer, uniform_goals
from umeta.theory.memory import (
    LookFirst,
    expected_tries,
    look_first,
    measure_posterior_sampling,
    measure_without_repeats,
    missed_with_memory,
)
from umeta.theory.minimax import minimax_explorer
from umeta.theory.mutual_information import exact_skills
from umeta.theory.process import TabularProcess
from umeta.theory.regret import measure_hitting_time, missed, regret, worst_case
from umeta.theory.trajectory import count_trajectories, minimax_trajectory_value, reward_bound, reward_regret, unroll
from umeta.theory.world import bandit, gridworld, tree

CONCENTRATIONS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
N_PRIORS = 200
MAX_LISTED = 4096
# Found among random bandits of three arms: the last two arms alone reach every outcome.
THREE_ARMS = ((0.75, 0.25, 0.0), (0.75, 0.0, 0.25), (1 / 3, 2 / 3, 0.0))
MAX_GOALS = 400


@dataclass(frozen=True, eq=False)
class SquareRootLaw:
    """Claim (a): for a known prior the best explorer follows its square root.

    Attributes:
        prior: Shape [n_goals], descending, drawn from a Dirichlet distribution.
        marginals: For each rule, where its explorer ends.
        regrets: For each rule, its regret. The rule "bayes" is the convex program, which does not know the law.
        law: The regret by the closed form.
        by_concentration: For each concentration of the Dirichlet distribution, the mean of the law's regret over 200 priors.
    """

    prior: np.ndarray
    marginals: dict[str, np.ndarray]
    regrets: dict[str, float]
    law: float
    by_concentration: dict[float, float]


def study_square_root_law(n_goals: int, concentration: float, rng: Rng) -> SquareRootLaw:
    """Compare explorers of a bandit with reliable arms, of which one pays with a known probability.

    Raises:
        InputError: Fewer than 2 goals or more than 400, or a concentration that is not positive.
    """
    if not 2 <= n_goals <= MAX_GOALS or not 0 < concentration < np.inf:
        raise InputError(
            f"the law is shown with 2 to {MAX_GOALS} goals and a positive, finite concentration, not {n_goals} and {concentration}"
        )
    prior = np.sort(_dirichlet(n_goals, concentration, rng.fork("prior")))[::-1]
    full = np.append(0.0, prior)
    found = bayes_explorer(bandit([1.0] * n_goals), full)
    root, law = square_root_law(prior)
    marginals = {"square root": root, "bayes": found.explorer.marginal[1:], "prior": prior, "uniform": np.full(n_goals, 1 / n_goals)}
    regrets = {name: regret(np.append(0.0, marginal), full) for name, marginal in marginals.items()}
    means = {}
    for value in CONCENTRATIONS:
        stream = rng.fork("concentration", round(1000 * value))
        means[value] = float(np.mean([square_root_law(_dirichlet(n_goals, value, stream.fork("prior", i)))[1] for i in range(N_PRIORS)]))
    return SquareRootLaw(prior, marginals, regrets, law, means)


@dataclass(frozen=True, eq=False)
class Memory:
    """Claim (d): remembering where one has been halves the regret.

    Attributes:
        n_goals: Goals that can be reached.
        without: Hitting time of uniform goals without memory: by the formula, and measured with its half-width.
        with_: Hitting time with memory: by the formula for a process without noise, and measured over all goals and for the worst one.
        budgets: Numbers of episodes.
        missed_without: Share of goals that are not reached within each budget, without memory.
        missed_with: The same with memory, without noise.
    """

    n_goals: int
    without: tuple[float, float, float]
    with_: tuple[float, float, float]
    budgets: tuple[int, ...]
    missed_without: tuple[float, ...]
    missed_with: tuple[float, ...]


def study_memory(process: TabularProcess, n_trials: int, rng: Rng) -> Memory:
    """Compare uniform goals with and without repeats, by formula and by running them.

    Raises:
        InputError: Fewer than 1 trial, or a goal that cannot be reached.
    """
    if n_trials < 1:
        raise InputError(f"at least 1 trial is needed, not {n_trials}")
    goals = process.goals()
    explorer = uniform_goals(process)
    worst, goal = worst_case(explorer.marginal, goals)
    measured = measure_hitting_time(process, explorer, goal, n_trials, rng.fork("without"))
    uniform = np.full(len(goals), 1 / len(goals))
    prior = np.zeros(process.n_states)
    prior[goals] = uniform
    budgets = tuple(range(0, 4 * len(goals) + 1))
    return Memory(
        len(goals),
        (worst, *measured),
        (expected_tries(uniform), *measure_without_repeats(process, n_trials * len(goals), rng.fork("with"))),
        budgets,
        tuple(missed(explorer.marginal, prior, n) for n in budgets),
        tuple(missed_with_memory(uniform, n) for n in budgets),
    )


@dataclass(frozen=True)
class Depth:
    """One horizon of claim (e).

    Attributes:
        horizon: Steps.
        n_trajectories: Sequences of states and actions.
        value: Least worst-case hitting time of a trajectory, by the recursion.
        by_program: The same by the linear program over all histories; NaN where there are too many to list.
        noisy_value: By the recursion, with slip.
        needle: Regret of the uniform explorer if one trajectory has reward 1; NaN where there are too many to list. The bound is
            `n_trajectories - 1`.
        random: Its mean regret over rewards drawn uniformly from `[0, 1]` for each trajectory; NaN where there are too many to list.
        grid_trajectories: Trajectories of a 5x5 grid with the same horizon, which has at most 25 goals.
    """

    horizon: int
    n_trajectories: int
    value: float
    by_program: float
    noisy_value: float
    needle: float
    random: float
    grid_trajectories: int

    @property
    def bound(self) -> int:
        """The minimax regret over all bounded rewards."""
        return reward_bound(self.n_trajectories)


def study_trajectories(branching: int, depth: int, slip: float, rng: Rng) -> tuple[Depth, ...]:
    """Compute what trajectory matching costs on trees of growing depth.

    Raises:
        InputError: A tree that does not exist or is too large.
    """
    tree(branching, depth, slip=slip)
    rows = []
    for horizon in range(1, depth + 1):
        process = tree(branching, horizon)
        n = count_trajectories(process)
        by_program = needle = random = float("nan")
        if n <= MAX_LISTED:
            by_program = minimax_explorer(unroll(process)).value
            uniform = np.full(n, 1 / n)
            needle = float(reward_regret(uniform, np.eye(1, n))[0])
            random = float(reward_regret(uniform, rng.fork("rewards", horizon).numpy().random((100, n))).mean())
        noisy = minimax_trajectory_value(tree(branching, horizon, slip=slip))
        grid = count_trajectories(gridworld(5, 5, horizon=horizon))
        rows.append(Depth(horizon, n, minimax_trajectory_value(process), by_program, noisy, needle, random, grid))
    return tuple(rows)


@dataclass(frozen=True)
class Case:
    """A bandit in which the optima part.

    Attributes:
        name: What the table calls it.
        reliability: Of the second of two arms; NaN for the bandit of three arms.
        worst: Worst-case hitting time of minimax, uniform goals and mutual information.
        redundancy: Their distance to the furthest policy, in nats; exact, for every policy is listed.
        information: Capacity in nats.
    """

    name: str
    reliability: float
    worst: dict[str, float]
    redundancy: dict[str, float]
    information: float


def study_bandit(reliabilities: Sequence[float]) -> tuple[Case, ...]:
    """Solve the smallest processes in which noise separates the optima, exactly.

    Two arms, of which the second is less than reliable, are the Z-channel: there mutual information is worse than uniform goals by the
    worst case. In the last row, of three arms, it is the other way around.

    Raises:
        InputError: A reliability outside of `(0, 1]`.
    """
    if not reliabilities or not all(0 < value <= 1 for value in reliabilities):
        raise InputError(f"reliabilities must be above 0 and at most 1, not {list(reliabilities)}")
    cases = [(f"two arms, the second reliable {value:g}", value, bandit([1.0, value])) for value in reliabilities]
    three = np.zeros((4, 3, 4))
    three[[1, 2, 3], :, [1, 2, 3]] = 1
    three[0, :, 1:] = THREE_ARMS
    cases.append(("three arms", float("nan"), TabularProcess.from_arrays(three, 0, 1)))
    rows = []
    for name, value, process in cases:
        skills = exact_skills(process)
        explorers: tuple[Explorer, ...] = (minimax_explorer(process).explorer, uniform_goals(process), skills.explorer)
        worst = {one.name: worst_case(one.marginal, process.goals())[0] for one in explorers}
        far = {one.name: float(divergences(skills.marginals, one.marginal).max()) for one in explorers}
        rows.append(Case(name, value, worst, far, skills.information))
    return tuple(rows)


def study_looking(n_arms: int, n_trials: int, rng: Rng) -> tuple[LookFirst, float]:
    """Return what posterior sampling costs beside an arm that shows which of the others pays: exactly, and as it was run.

    Raises:
        InputError: Fewer than 1 arm.
    """
    if n_arms < 1:
        raise InputError(f"at least 1 arm is needed, not {n_arms}")
    return look_first(n_arms), measure_posterior_sampling(n_arms, n_trials, rng)


def _dirichlet(n: int, concentration: float, rng: Rng) -> np.ndarray:
    """Draw a prior; a tiny share of the uniform one keeps every goal possible where a draw underflows."""
    drawn = rng.numpy().dirichlet(np.full(n, concentration))
    return np.asarray((drawn + 1e-12) / (drawn + 1e-12).sum())
