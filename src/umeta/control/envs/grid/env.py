"""Knows how one moves from cell to cell."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from umeta.control.envs.grid.types import HORIZON, MOVES
from umeta.control.process import EVERY, Box, Discrete
from umeta.core.errors import InputError
from umeta.core.rng import Rng


@dataclass
class RunningGrids:
    """Walkers on a grid in motion.

    Attributes:
        cell: Int64 [n_task, n_episode].
        target: Int64 [n_cell, 5], where each move leads.
        slip: Probability that a move is replaced by one of the five at random.
        generator: Of the slips.
        n_task: How many tasks there are; slips are drawn for all.
        tasks: Which of them these are.
    """

    cell: Int[Tensor, "n_task n_episode"]
    target: Int[Tensor, "n_cell 5"]
    slip: float
    generator: torch.Generator
    n_task: int
    tasks: slice

    @property
    def observation(self) -> Float[Tensor, "n_task n_episode n_cell"]:
        """The cell, one-hot."""
        return F.one_hot(self.cell, len(self.target)).float()

    def step(
        self, action: Int[Tensor, "n_task n_episode"]
    ) -> tuple[Float[Tensor, "n_task n_episode n_cell"], Bool[Tensor, "n_task n_episode"]]:
        """Move every walker; no episode ends before the horizon."""
        move = action
        if self.slip > 0:
            shape = (self.n_task, *action.shape[1:])
            slips = torch.rand(shape, generator=self.generator, device=action.device) < self.slip
            other = torch.randint(len(MOVES), shape, generator=self.generator, device=action.device)
            move = torch.where(slips[self.tasks], other[self.tasks], action)
        self.cell = self.target[self.cell, move]
        return self.observation, torch.ones(action.shape, dtype=torch.bool, device=action.device)


@dataclass(frozen=True)
class Grid:
    """A walker on a grid, which starts in a corner: the same process as `umeta.theory.world.gridworld`.

    The observation is the cell, one-hot, float [n_cell]; cells are counted row by row, walls left out. The action is int64: 0 stay, 1 down,
    2 up, 3 right, 4 left; a move against the edge or a wall stays. An episode has 10 steps.

    Attributes:
        height: Rows.
        width: Columns.
        slip: Probability that the action is replaced by one of the five at random.
        walls: Cells (row, column) that nobody can enter.
        start_cell: Where every episode begins.
        horizon: Steps in an episode.
        name: What a user types after `env:`.
        device: Where the tensors are.

    Raises:
        InputError: The start is a wall or outside of the grid.
    """

    height: int = 5
    width: int = 5
    slip: float = 0.0
    walls: tuple[tuple[int, int], ...] = ()
    start_cell: tuple[int, int] = (0, 0)
    horizon: int = HORIZON
    name: str = "Grid-v0"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.start_cell not in self.cells:
            raise InputError(f"the start {self.start_cell} is a wall, or outside of the {self.height}x{self.width} grid")

    @cached_property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Row and column of every cell that can be entered."""
        return tuple((row, column) for row in range(self.height) for column in range(self.width) if (row, column) not in self.walls)

    @property
    def observation(self) -> Box:
        """One-hot."""
        return Box((0.0,) * len(self.cells), (1.0,) * len(self.cells))

    @property
    def action(self) -> Discrete:
        """Five moves."""
        return Discrete(len(MOVES))

    @property
    def n_feature(self) -> int:
        """Number of cells."""
        return len(self.cells)

    def feature(self, observation: Float[Tensor, "*batch n_cell"]) -> Float[Tensor, "*batch n_cell"]:
        """Return the observation."""
        return observation

    def start(self, n_task: int, n_episode: int, rng: Rng, tasks: slice = EVERY) -> RunningGrids:
        """Put all walkers in the first cell; the stream decides when they slip."""
        index = {cell: number for number, cell in enumerate(self.cells)}
        target = torch.tensor([[index.get((r + dr, c + dc), index[r, c]) for dr, dc in MOVES] for r, c in self.cells], device=self.device)
        first = torch.full((n_task, n_episode), index[self.start_cell], device=self.device)
        return RunningGrids(first[tasks], target, self.slip, rng.torch(self.device), n_task, tasks)
