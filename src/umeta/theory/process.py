"""Knows what a small controlled process is: an MDP without a reward, as arrays that were checked."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int

from umeta.core.errors import InputError
from umeta.core.rng import Rng

TOLERANCE = 1e-6
BYTES_PER_ENTRY = 400
SHOWN = 8
MANY = 10**12
MILLION_GIB = 10**6 * 2**30


def check_memory(n_states: int, n_actions: int, n_successors: int, horizon: int) -> None:
    """Refuse a process whose linear program would not fit into memory, before anything is built.

    A program has one variable per step, state and action, and each stands in one row for itself and one per state that can follow. The
    estimate is 400 bytes for each such entry, about what HiGHS was measured to take with its copies and factors.

    Raises:
        InputError: The estimate is above half of the machine's memory.
    """
    need = BYTES_PER_ENTRY * horizon * n_states * n_actions * (n_successors + 1)
    have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    if need > have:
        states = n_states if n_states < MANY else f"over {MANY:.0e}"
        needed = "more than a million" if need > MILLION_GIB else f"about {need / 2**30:,.1f}"
        raise InputError(
            f"{states} states, {n_actions} actions and horizon {horizon} need {needed} GiB, and half of this machine's "
            f"memory is {have / 2**30:,.1f} GiB; use fewer states or a shorter horizon"
        )


@dataclass(frozen=True, eq=False)
class TabularProcess:
    """States, actions, what follows what, where it starts and how long an episode is; there is no reward in it.

    Attributes:
        transitions: Sparse, shape [n_states * n_actions, n_states]; row `s * n_actions + a` is the distribution of the next state.
        start: Shape [n_states], the distribution of the first state.
        horizon: Steps in an episode. A goal counts where the episode ends, after the last step.
        names: What states are called in messages; empty for their numbers.
        places: Shape [n_states, 2], row and column of each state in pictures; None if states have no place.

    Raises:
        InputError: A row does not sum to one, a probability is negative or not a number, shapes disagree, the horizon is below 1, or the
            linear program would not fit into memory.
    """

    transitions: sp.csr_array
    start: np.ndarray
    horizon: int
    names: tuple[str, ...] = ()
    places: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise InputError(f"the horizon must be at least 1 step, not {self.horizon}")
        if not sp.issparse(self.transitions):
            raise InputError("transitions must be sparse [n_states * n_actions, n_states]; TabularProcess.from_arrays takes dense arrays")
        rows, n_states = self.transitions.shape
        if n_states == 0 or rows == 0 or rows % n_states or self.start.shape != (n_states,):
            raise InputError(f"transitions {self.transitions.shape} and start {self.start.shape} do not fit; there are {n_states} states")
        _check_distributions(self.start[None], ["the start distribution"])
        sums = self.transitions.sum(1)
        bad = ~np.isfinite(sums) | (np.abs(sums - 1) > TOLERANCE)
        if bad.any() or self.transitions.data.min() < 0:
            row = (
                int(bad.argmax())
                if bad.any()
                else int(np.repeat(np.arange(rows), np.diff(self.transitions.indptr))[self.transitions.data.argmin()])
            )
            told = f"sum to {sums[row]:.6g}, not 1" if bad.any() else f"have a negative one, {self.transitions.data.min():.6g}"
            raise InputError(
                f"the transition probabilities of {self.name(row // self.n_actions)}, action {row % self.n_actions}, {told}; "
                f"{max(int(bad.sum()), 1)} of {rows} rows are wrong; each must be a distribution over the next state"
            )
        check_memory(self.n_states, self.n_actions, int(np.diff(self.transitions.indptr).max()), self.horizon)
        object.__setattr__(self, "transitions", sp.csr_array(sp.diags_array(1 / sums) @ self.transitions))
        object.__setattr__(self, "start", self.start / self.start.sum())

    @classmethod
    def from_arrays(cls, transitions: np.ndarray, start: np.ndarray | int, horizon: int) -> "TabularProcess":
        """Return the process of anybody's dense arrays.

        Args:
            transitions: Shape [n_states, n_actions, n_states], the probability of each next state.
            start: Shape [n_states], the distribution of the first state; or one state's number.
            horizon: Steps in an episode.

        Raises:
            InputError: See the class; also if the array has another shape, or the start state does not exist.
        """
        if transitions.ndim != 3 or transitions.shape[0] != transitions.shape[2] or 0 in transitions.shape:
            raise InputError(f"transitions must be [n_states, n_actions, n_states], not {list(transitions.shape)}")
        for name, array in (("transitions", transitions), ("start", np.asarray(start))):
            if array.dtype.kind not in "iufb":
                raise InputError(f"{name} must be real numbers, not {array.dtype}")
        n_states, n_actions, _ = transitions.shape
        if isinstance(start, int | np.integer):
            if not 0 <= start < n_states:
                raise InputError(f"start state {start} is not in 0 to {n_states - 1}")
            start = np.eye(n_states)[start]
        first = np.asarray(start, np.float64)
        if first.shape != (n_states,):
            raise InputError(f"start must be a distribution [{n_states}] over states, not {list(first.shape)}")
        return cls(
            sp.csr_array(transitions.reshape(n_states * n_actions, n_states).astype(np.float64)), np.asarray(start, np.float64), horizon
        )

    @property
    def n_states(self) -> int:
        """Number of states."""
        return int(self.transitions.shape[1])

    @property
    def n_actions(self) -> int:
        """Number of actions, the same in every state."""
        return int(self.transitions.shape[0] // self.transitions.shape[1])

    @cached_property
    def reach(self) -> Bool[np.ndarray, "horizon_p1 n_states"]:
        """Whether some policy can be in a state after `t` steps, for `t` from 0 to the horizon."""
        follows = _adjacency(self)
        layers = [self.start > 0]
        for _ in range(self.horizon):
            layers.append(np.asarray(layers[-1] @ follows > 0))
        return np.stack(layers)

    @property
    def is_deterministic(self) -> bool:
        """Whether every action has one outcome and there is one start."""
        return bool((self.transitions.data > 1 - TOLERANCE).sum() == self.transitions.shape[0] and self.start.max() > 1 - TOLERANCE)

    def name(self, state: int) -> str:
        """Return what a state is called in messages."""
        return self.names[state] if self.names else f"state {state}"

    def goals(self, wanted: Sequence[int] | None = None) -> Int[np.ndarray, " n_goals"]:
        """Return states in which an episode can end: all of them, or those wanted after a check.

        Raises:
            InputError: A wanted goal does not exist or cannot be reached at the horizon, so that every explorer's regret is infinite.
        """
        if wanted is None:
            return np.flatnonzero(self.reach[-1])
        goals = np.asarray(wanted, np.int64)
        if goals.size == 0:
            raise InputError("there is no goal; name at least one state")
        if goals.min() < 0 or goals.max() >= self.n_states or len(np.unique(goals)) < len(goals):
            raise InputError(f"goals must be different states in 0 to {self.n_states - 1}, not {listed(map(str, goals))}")
        lost = goals[~self.reach[-1][goals]]
        if lost.size:
            raise InputError(
                f"{len(lost)} of {len(goals)} goals cannot be reached at step {self.horizon}: {listed(map(self.name, lost))}; so the "
                f"regret of every explorer is infinite; {self._remedy(goals, lost)}"
            )
        return goals

    def unreachable(self) -> Int[np.ndarray, " n_lost"]:
        """Return the states that no policy reaches, however long the episode is."""
        follows = _adjacency(self)
        seen = self.start > 0
        for _ in range(self.n_states):
            more = seen | np.asarray(seen @ follows > 0)
            if (more == seen).all():
                break
            seen = more
        return np.flatnonzero(~seen)

    def _remedy(self, goals: Int[np.ndarray, " n_goals"], lost: Int[np.ndarray, " n_lost"]) -> str:
        cut_off = np.intersect1d(lost, self.unreachable())
        if cut_off.size:
            return f"no horizon is long enough for {listed(map(self.name, cut_off))}: leave them out"
        for horizon in range(self.horizon + 1, self.horizon + self.n_states + 1):
            if replace(self, horizon=horizon).reach[-1][goals].all():
                return f"the horizon is too short: at least {horizon} is needed"
        return "no one horizon has all of them: leave some out"

    def simulate(
        self, policy: Float[np.ndarray, "horizon n_states n_actions"], n_episodes: int, rng: Rng
    ) -> Int[np.ndarray, "n_episodes horizon_p1"]:
        """Run episodes and return the states that they visit, the first and the last among them."""
        generator = rng.numpy()
        states = np.empty((n_episodes, self.horizon + 1), np.int64)
        states[:, 0] = self.first_states(n_episodes, generator)
        for t in range(self.horizon):
            actions = _draw(np.cumsum(policy[t][states[:, t]], 1), generator)
            states[:, t + 1] = self.next_states(states[:, t], actions, generator)
        return states

    def first_states(self, n: int, generator: np.random.Generator) -> Int[np.ndarray, " n"]:
        """Draw where episodes begin."""
        return _draw(np.broadcast_to(np.cumsum(self.start), (n, self.n_states)), generator)

    def next_states(
        self, states: Int[np.ndarray, " n"], actions: Int[np.ndarray, " n"], generator: np.random.Generator
    ) -> Int[np.ndarray, " n"]:
        """Draw what follows from each state and action."""
        return _draw(self._cumulative[states * self.n_actions + actions], generator)

    @cached_property
    def _cumulative(self) -> Float[np.ndarray, "n_rows n_states"]:
        return np.cumsum(self.transitions.toarray(), 1)


def listed(names: Sequence[str] | map) -> str:  # type: ignore[type-arg]
    """Return names in one line, the first eight of many."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


def _adjacency(process: TabularProcess) -> sp.csr_array:
    """Return which state can follow which, shape [n_states, n_states]."""
    rows = sp.csr_array((process.n_states, process.transitions.shape[0]))
    owner = np.arange(process.transitions.shape[0])
    rows = sp.csr_array((np.ones(len(owner)), (owner // process.n_actions, owner)), shape=rows.shape)
    return sp.csr_array(rows @ process.transitions)


def _draw(cumulative: Float[np.ndarray, "n n_outcomes"], generator: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Draw one outcome per row of cumulated probabilities."""
    point = generator.random(len(cumulative)) * cumulative[:, -1]
    return np.asarray((cumulative <= point[:, None]).sum(1), np.int64)


def _check_distributions(rows: Float[np.ndarray, "n n_outcomes"], names: Sequence[str]) -> None:
    for row, name in zip(rows, names, strict=True):
        if not np.isfinite(row).all() or row.min() < 0 or abs(row.sum() - 1) > TOLERANCE:
            raise InputError(f"{name} sums to {row.sum():.6g} with a least entry of {row.min():.6g}; it must be a distribution")
