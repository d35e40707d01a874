"""Knows the true rewards: frozen, versioned definitions of the tasks on which control is scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.benchmarks.benchmark import is_of_images, unknown_name
from umeta.control.envs.catalog import make_process
from umeta.control.envs.point_nav.types import ARENA
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardDistribution, RewardFamily, RewardFn, RewardTasks
from umeta.core.errors import InputError
from umeta.core.rng import Rng

GRID_SIDE = 10


@dataclass(frozen=True, eq=False)
class TrueTasks:
    """Rewards that people wrote, for one process.

    Attributes:
        name: Its versioned name; a definition never changes under a name.
        process: The name of the process.
        family: The reward, up to a parameter.
        draw: Draws parameters.
        grid: Parameters spread evenly over all tasks, for the worst case; float [n, n_parameter].
    """

    name: str
    process: str
    family: RewardFamily
    draw: Callable[[int, Rng], Tensor]
    grid: Tensor

    @property
    def tasks(self) -> RewardDistribution:
        """The hand-made task distribution: held-out tasks, and for an oracle what it practices on."""
        return RewardDistribution(self.family, self.draw)

    @property
    def spread(self) -> RewardTasks:
        """One task for each parameter of the grid."""
        return RewardTasks(self.family, self.grid)

    def make_process(self) -> ControlledProcess:
        """Return the process that the tasks are for."""
        return make_process(self.process)


def _distance_to_goal(goal: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
    """Return minus the distance from the position reached to the goal."""
    distance: Tensor = torch.linalg.vector_norm(reached[..., :2] - _spread_out(goal, reached), dim=-1)
    return -distance


def toward(goal: Sequence[float]) -> RewardFn:
    """Return minus the distance from the position reached to one goal, the reward of `point-goals-v0`, as a function of its own."""
    return RewardTasks(_distance_to_goal, torch.tensor([list(goal)]))[0].reward


def _in_goal_cell(goal: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
    """Return 1 where the cell reached is the goal and 0 elsewhere."""
    return (reached * _spread_out(goal, reached)).sum(-1)


def _spread_out(parameter: Tensor, reached: Tensor) -> Tensor:
    return parameter.to(reached.device).reshape(len(parameter), *(1,) * (reached.ndim - 2), -1)


def _uniform_square(n: int, rng: Rng) -> Float[Tensor, "n 2"]:
    return (2 * torch.rand(n, 2, generator=rng.torch()) - 1) * ARENA


def _square_grid() -> Float[Tensor, "n 2"]:
    line = (torch.arange(GRID_SIDE) + 0.5) / GRID_SIDE * 2 * ARENA - ARENA
    return torch.cartesian_prod(line, line)


def point_goals() -> TrueTasks:
    """`point-goals-v0`: reach a goal drawn uniformly from the square; the reward is minus the distance, at each of 50 steps.

    Source:
        Finn et al. 2017 (arXiv:1703.03400), the 2-D navigation tasks, with the departures of `PointNav`.
    """
    return TrueTasks("point-goals-v0", "PointNav-v0", _distance_to_goal, _uniform_square, _square_grid())


def point_walls() -> TrueTasks:
    """`point-walls-v0`: as `point-goals-v0`, in the arena with two walls; the distance is as the crow flies."""
    return TrueTasks("point-walls-v0", "PointWalls-v0", _distance_to_goal, _uniform_square, _square_grid())


def grid_goals() -> TrueTasks:
    """`grid-goals-v0`: be in one of the 25 cells of a 5x5 grid, drawn uniformly; the reward is 1 at each of 10 steps that ends there."""

    def one_hot(n: int, rng: Rng) -> Float[Tensor, "n 25"]:
        return torch.eye(25)[torch.randint(25, (n,), generator=rng.torch())]

    return TrueTasks("grid-goals-v0", "Grid-v0", _in_goal_cell, one_hot, torch.eye(25))


CONTROL_COST = 0.05
CHEETAH_VELOCITY = 8
ANT_SQUARE = 2.0


def _off_velocity(target: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
    """Return minus the distance of the velocity along x to the target, less the cost of the action."""
    off = (reached[..., CHEETAH_VELOCITY] - _spread_out(target, reached)[..., 0]).abs()
    return -off - CONTROL_COST * action.square().sum(-1)


def _along_direction(sign: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
    """Return the velocity along x in the wanted direction, less the cost of the action."""
    return reached[..., CHEETAH_VELOCITY] * _spread_out(sign, reached)[..., 0] - CONTROL_COST * action.square().sum(-1)


def cheetah_velocity() -> TrueTasks:
    """`cheetah-velocity-v0`: run at a speed drawn uniformly from 0 to 2 m/s; 100 steps of HalfCheetah-v5.

    The reward of a step is minus the distance of the velocity to the target, less 0.05 times the squared action.

    Source:
        Finn et al. 2017 (arXiv:1703.03400), as in their code. Departure: the velocity at the end of the step instead of its mean.
    """

    def speeds(n: int, rng: Rng) -> Float[Tensor, "n 1"]:
        return 2 * torch.rand(n, 1, generator=rng.torch())

    return TrueTasks("cheetah-velocity-v0", "HalfCheetah-v5", _off_velocity, speeds, torch.linspace(0, 2, 21)[:, None])


def cheetah_direction() -> TrueTasks:
    """`cheetah-direction-v0`: run forward or backward; the reward is the velocity that way, less 0.05 times the squared action."""

    def signs(n: int, rng: Rng) -> Float[Tensor, "n 1"]:
        return torch.randint(2, (n, 1), generator=rng.torch()).float() * 2 - 1

    return TrueTasks("cheetah-direction-v0", "HalfCheetah-v5", _along_direction, signs, torch.tensor([[-1.0], [1.0]]))


def ant_goal() -> TrueTasks:
    """`ant-goal-v0`: reach a goal drawn uniformly from a square of 4 m around the start; 100 steps of Ant-v5 that end for no fall.

    The reward of a step is minus the distance to the goal.
    """

    def goals(n: int, rng: Rng) -> Float[Tensor, "n 2"]:
        return (2 * torch.rand(n, 2, generator=rng.torch()) - 1) * ANT_SQUARE

    return TrueTasks("ant-goal-v0", "Ant-v5", _distance_to_goal, goals, _square_grid() / ARENA * ANT_SQUARE)


GOALS: dict[str, Callable[[], TrueTasks]] = {
    "point-goals-v0": point_goals,
    "point-walls-v0": point_walls,
    "grid-goals-v0": grid_goals,
    "cheetah-velocity-v0": cheetah_velocity,
    "cheetah-direction-v0": cheetah_direction,
    "ant-goal-v0": ant_goal,
}


def true_tasks(name: str) -> TrueTasks:
    """Return the tasks of that name, with or without the version; raises `InputError` with the nearest names."""
    full = name if name in GOALS else f"{name}-v0"
    if full not in GOALS:
        if is_of_images(name):
            raise InputError(f"the benchmark {name!r} is for images; for environments there are: {', '.join(GOALS)}")
        raise unknown_name("control benchmark", name, GOALS)
    return GOALS[full]()
