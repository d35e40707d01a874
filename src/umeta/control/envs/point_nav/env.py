"""Knows how a point moves in the arena."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from umeta.control.envs.point_nav.types import ARENA, HORIZON, STEP, WALLS, Wall
from umeta.control.process import EVERY, Box
from umeta.core.rng import Rng

NEAR_SIDE = 1e-4


@dataclass
class RunningPoints:
    """Points in motion.

    Attributes:
        observation: Positions, float [n_task, n_episode, 2], in `[-0.5, 0.5]`.
        walls: What they cannot cross.
    """

    observation: Float[Tensor, "n_task n_episode 2"]
    walls: tuple[Wall, ...]

    def step(
        self, action: Float[Tensor, "n_task n_episode 2"]
    ) -> tuple[Float[Tensor, "n_task n_episode 2"], Bool[Tensor, "n_task n_episode"]]:
        """Move every point by its action, at most 0.1 along each axis; no episode ends before the horizon."""
        was = self.observation
        now = (was + action.clamp(-STEP, STEP)).clamp(-ARENA, ARENA)
        for wall in self.walls:
            now = _stopped(was, now, wall)
        self.observation = now
        return now, torch.ones(now.shape[:2], dtype=torch.bool, device=now.device)


def _stopped(was: Tensor, now: Tensor, wall: Wall) -> Tensor:
    """Return where moves end that may not cross a wall: on its near side, with the motion along it kept."""
    before, after = was[..., wall.axis] - wall.at, now[..., wall.axis] - wall.at
    share = before / (before - after).where(before != after, 1.0)
    other = was[..., 1 - wall.axis] + share * (now[..., 1 - wall.axis] - was[..., 1 - wall.axis])
    crosses = (before * after <= 0) & (before != after) & (other >= wall.low) & (other <= wall.high)
    moved = now.clone()
    moved[..., wall.axis] = torch.where(crosses, wall.at + NEAR_SIDE * before.sign(), now[..., wall.axis])
    return moved


@dataclass(frozen=True)
class PointNav:
    """A point in the square `[-0.5, 0.5]` x `[-0.5, 0.5]`, which starts in the middle and moves as it is told.

    The observation is its position, float [2]. The action is the move, float [2] in `[-0.1, 0.1]`; a move against the edge or a wall ends
    there. An episode has 50 steps. Nothing is random.

    Attributes:
        walls: What cannot be crossed; none in `PointNav-v0`, two in `PointWalls-v0`.
        horizon: Steps in an episode.
        device: Where the tensors are.

    Source:
        The point of Finn et al. 2017 (arXiv:1703.03400). Departures: the arena is bounded, or the skills of a learner without a reward lie
        far outside of all goals; an episode has 50 steps and does not end at the goal, for the process knows no goal.
    """

    walls: tuple[Wall, ...] = ()
    horizon: int = HORIZON
    device: str = "cpu"
    observation: Box = field(default=Box((-ARENA, -ARENA), (ARENA, ARENA)), init=False)
    action: Box = field(default=Box((-STEP, -STEP), (STEP, STEP)), init=False)
    n_feature: int = field(default=2, init=False)

    @property
    def name(self) -> str:
        """What a user types after `env:`."""
        return "PointWalls-v0" if self.walls else "PointNav-v0"

    def feature(self, observation: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2"]:
        """Return the position in units of the half side, in `[-1, 1]`."""
        return observation / ARENA

    def start(self, n_task: int, n_episode: int, rng: Rng, tasks: slice = EVERY) -> RunningPoints:
        """Put all points in the middle; the stream is not used."""
        return RunningPoints(torch.zeros(n_task, n_episode, 2, device=self.device)[tasks], self.walls)


def point_walls() -> PointNav:
    """Return the arena with two walls."""
    return PointNav(WALLS)
