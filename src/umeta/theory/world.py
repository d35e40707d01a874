"""Knows the processes on which the theory is shown: grids, bandits, trees, and those that a user or gymnasium brings."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from umeta.core.errors import InputError
from umeta.theory.process import TabularProcess, check_memory

# Stay first: among equally good plans the first action is taken, and waiting is the plainest.
MOVES = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def gridworld(
    height: int,
    width: int,
    *,
    horizon: int,
    slip: float = 0.0,
    walls: Collection[tuple[int, int]] = (),
    start: tuple[int, int] = (0, 0),
) -> TabularProcess:
    """Return a grid of cells with the actions stay, down, up, right, left; a move against an edge or a wall stays.

    Args:
        height: Rows.
        width: Columns.
        horizon: Steps in an episode.
        slip: Probability that the action is replaced by one of the five at random.
        walls: Cells (row, column) that nobody can enter; they are no states.
        start: Where every episode begins, a corner by default.

    Raises:
        InputError: A size below 1, a slip outside of `[0, 1]`, a wall or a start outside of the grid, a start in a wall, or a grid too
            large for memory.
    """
    if height < 1 or width < 1:
        raise InputError(f"a grid needs at least one row and one column, not {height}x{width}")
    if not 0 <= slip <= 1:
        raise InputError(f"slip is a probability in 0 to 1, not {slip}")
    for kind, cells in (("wall", walls), ("start", (start,))):
        outside = [cell for cell in cells if not (0 <= cell[0] < height and 0 <= cell[1] < width)]
        if outside:
            raise InputError(
                f"{kind} {outside[0][0]},{outside[0][1]} is outside of the {height}x{width} grid; rows and columns count from 0"
            )
    if start in walls:
        raise InputError(f"the start {start[0]},{start[1]} is a wall; open it or start elsewhere")
    check_memory(height * width - len(set(walls)), len(MOVES), len(MOVES), horizon)
    cells = [(row, column) for row in range(height) for column in range(width) if (row, column) not in set(walls)]
    index = {cell: number for number, cell in enumerate(cells)}
    target = np.array([[index.get((r + dr, c + dc), index[r, c]) for dr, dc in MOVES] for r, c in cells])
    rows, targets, shares = [], [], []
    for action in range(len(MOVES)):
        for other in range(len(MOVES)):
            share = slip / len(MOVES) + (1 - slip) * (action == other)
            if share:
                rows.append(np.arange(len(cells)) * len(MOVES) + action)
                targets.append(target[:, other])
                shares.append(np.full(len(cells), share))
    shape = (len(cells) * len(MOVES), len(cells))
    transitions = sp.csr_array((np.concatenate(shares), (np.concatenate(rows), np.concatenate(targets))), shape=shape)
    first = np.zeros(len(cells))
    first[index[start]] = 1
    return TabularProcess(transitions, first, horizon, tuple(f"cell {r},{c}" for r, c in cells), np.array(cells))


def bandit(reliability: Sequence[float]) -> TabularProcess:
    """Return one choice among arms: arm `i` leads to outcome `i` with its reliability, and to outcome 0 otherwise.

    State 0 is the choice, state `i + 1` is outcome `i`. Two arms of which the first is reliable are the Z-channel of information theory.

    Raises:
        InputError: No arm, or a reliability outside of `[0, 1]`.
    """
    n_arms = len(reliability)
    if n_arms == 0 or not all(0 <= share <= 1 for share in reliability):
        raise InputError(f"a bandit needs arms with a reliability in 0 to 1, not {list(reliability)}")
    transitions = np.zeros((n_arms + 1, n_arms, n_arms + 1))
    transitions[np.arange(1, n_arms + 1), :, np.arange(1, n_arms + 1)] = 1
    transitions[0, :, 1] += 1 - np.asarray(reliability)
    transitions[0, np.arange(n_arms), np.arange(1, n_arms + 1)] += reliability
    return TabularProcess.from_arrays(transitions, 0, 1)


def tree(branching: int, depth: int, *, slip: float = 0.0) -> TabularProcess:
    """Return a tree of choices: in each node one of `branching` children is chosen, `depth` times.

    States are nodes, level by level, so the leaves are the last `branching ** depth` states. With probability `slip` a child is taken at
    random.

    Raises:
        InputError: `branching` or `depth` below 1, a slip outside of `[0, 1]`, or a tree too large for memory.
    """
    if branching < 1 or depth < 1 or not 0 <= slip <= 1:
        raise InputError(f"a tree needs branching and depth of at least 1 and a slip in 0 to 1, not {branching}, {depth} and {slip}")
    n_states = sum(branching**level for level in range(depth + 1))
    check_memory(n_states, branching, branching if slip else 1, depth)
    n_inner = n_states - branching**depth
    child = branching * np.arange(n_inner)[:, None] + 1 + np.arange(branching)
    choice = slip / branching + (1 - slip) * np.eye(branching)
    node, action, other = np.indices((n_inner, branching, branching))
    leaf, any_action = np.indices((n_states - n_inner, branching))
    rows = np.concatenate([(node * branching + action).ravel(), ((leaf + n_inner) * branching + any_action).ravel()])
    targets = np.concatenate([child[node, other].ravel(), (leaf + n_inner).ravel()])
    shares = np.concatenate([choice[action, other].ravel(), np.ones(leaf.size)])
    transitions = sp.csr_array((shares, (rows, targets)), shape=(n_states * branching, n_states))
    transitions.eliminate_zeros()
    return TabularProcess(transitions, np.eye(1, n_states)[0], depth)


def from_toy_text(environment: Any, horizon: int) -> TabularProcess:
    """Return the process of a gymnasium toy-text environment, such as FrozenLake, without its reward; ended states stay where they are.

    Args:
        environment: An id such as "FrozenLake-v1", for which gymnasium must be installed, or an environment that was made.
        horizon: Steps in an episode.

    Raises:
        InputError: gymnasium is not installed, does not know the id, or the environment has no table of transitions.
    """
    if isinstance(environment, str):
        try:
            import gymnasium
        except ImportError as error:
            raise InputError(f"{environment} needs gymnasium; install it with: pip install 'gymnasium[toy-text]'") from error
        try:
            environment = gymnasium.make(environment)
        except gymnasium.error.Error as error:
            raise InputError(f"gymnasium does not make {environment!r}: {error}") from error
    inner = environment.unwrapped
    table, start = getattr(inner, "P", None), getattr(inner, "initial_state_distrib", None)
    if table is None or start is None:
        raise InputError(
            f"{type(inner).__name__} has no table of transitions `P`; toy-text environments with one: FrozenLake, CliffWalking, Taxi"
        )
    n_states, n_actions = len(table), len(table[0])
    transitions = sp.lil_array((n_states * n_actions, n_states))
    ended = {after for moves in table.values() for outcomes in moves.values() for _, after, _, done in outcomes if done}
    for state, moves in table.items():
        for action, outcomes in moves.items():
            row = state * n_actions + action
            for probability, after, _, _ in [(1.0, state, 0.0, True)] if state in ended else outcomes:
                transitions[row, int(after)] += probability
    return TabularProcess(sp.csr_array(transitions), np.asarray(start, np.float64), horizon)
