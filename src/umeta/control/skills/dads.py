"""Knows DADS: skills under which the process is easy to predict, and different for each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from umeta.control.nets.module import Net
from umeta.control.nets.policy import mlp_weights
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFamily
from umeta.control.skills.continuous import evenly_in_cube
from umeta.control.trajectory import Trajectories, conditioned
from umeta.core.rng import Rng
from umeta.functional.skills import dynamics_reward

LEAST_STD = 0.02


class SkillDynamics(nn.Module):
    """How a step changes the features under a skill: a Gaussian around a network's output.

    Args:
        net: Maps features and a skill to the mean change.
        others: Skills that every transition is compared with.
        n_feature: Features that change.
    """

    others: Float[Tensor, "n_others n_dim"]

    def __init__(self, net: Net, others: Float[Tensor, "n_others n_dim"], n_feature: int) -> None:
        super().__init__()
        self.net = net
        self.log_std = nn.Parameter(torch.zeros(n_feature))
        self.register_buffer("others", others)

    def log_prob(
        self,
        skill: Float[Tensor, "n_task n_dim"],
        before: Float[Tensor, "n_task n_episode n_step n_feature"],
        after: Float[Tensor, "n_task n_episode n_step n_feature"],
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return the log density of each task's transitions under its skill."""
        std = LEAST_STD + self.log_std.exp()
        apart: Tensor = (after - before - self.net(conditioned(before, skill))) / std
        return (-0.5 * apart.square() - std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def reward(self, skill: Tensor, before: Tensor, after: Tensor) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return how much more a transition is expected under its skill than under the others."""
        others = [self.log_prob(one.expand(len(skill), -1), before, after) for one in self.others]
        return dynamics_reward(self.log_prob(skill, before, after), torch.stack(others, -1))


@dataclass(frozen=True)
class Dads:
    r"""Reward skill $z$ with $\log q(s' \mid s, z) - \log E_{z'} q(s' \mid s, z')$ of each transition, where $q$ learns to predict.

    Skills are points of the cube $[-1, 1]^d$. As a task a skill has the same reward.

    Attributes:
        n_dim: $d$.
        n_others: Skills that stand for the prior in the expectation.
        hidden: Layers of the prediction.

    Source:
        Sharma et al. 2020, "Dynamics-Aware Unsupervised Discovery of Skills" (arXiv:1907.01657), algorithm 1. Departures: one Gaussian
        with a spread that is learned, instead of four experts with a fixed one; it predicts the change of `process.feature`; the skills
        of the expectation are drawn once; PPO instead of SAC; the skills become tasks instead of actions of a planner.
    """

    n_dim: int = 2
    n_others: int = 15
    hidden: tuple[int, ...] = (64, 64)
    trained: ClassVar[bool] = True

    @property
    def n_condition(self) -> int:
        """The point of the cube."""
        return self.n_dim

    def model(self, process: ControlledProcess, rng: Rng) -> SkillDynamics:
        """Return the prediction."""
        sizes = (process.n_feature + self.n_dim, *self.hidden, process.n_feature)
        net = Net(mlp_weights(sizes, rng.fork("net").torch(), last_scale=0.1))
        return SkillDynamics(net, evenly_in_cube(self.n_others, self.n_dim, rng.fork("others")), process.n_feature)

    def draw(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_dim"]:
        """Return points of the cube."""
        return evenly_in_cube(n, self.n_dim, rng)

    draw_tasks = draw

    def reward(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_dim"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return how much more each transition is expected under its skill than under others."""
        return self.family(model, process)(skill, trajectories.observation, trajectories.action, trajectories.reached)

    def loss(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_dim"]
    ) -> Float[Tensor, ""]:
        """Return the mean surprise of the prediction."""
        assert isinstance(model, SkillDynamics)
        before, after = process.feature(trajectories.observation), process.feature(trajectories.reached)
        return -model.log_prob(skill, before, after)[trajectories.alive].mean()

    def family(self, model: nn.Module, process: ControlledProcess) -> RewardFamily:
        """Return the reward of transitions."""
        assert isinstance(model, SkillDynamics)

        @torch.no_grad()
        def reward(skill: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
            return model.reward(skill.to(reached.device), process.feature(observation), process.feature(reached))

        return reward

    @torch.no_grad()
    def measure(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_dim"]
    ) -> Mapping[str, float]:
        r"""Return the information $I(s'; z \mid s)$ in nats, as far as the prediction is right; at most $\log(L + 1)$."""
        return {"information": self.reward(model, process, trajectories, skill)[trajectories.alive].mean().item()}
