"""Knows state marginal matching: skills that can be told apart and that together visit every state equally often."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.control.nets.module import Net
from umeta.control.nets.policy import mlp_weights
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFamily
from umeta.control.skills.discriminator import evenly, log_guess, told_apart
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng
from umeta.functional.skills import marginal_reward

LEAST_STD, FIRST_STD = 0.1, 0.5


class Densities(nn.Module):
    """A discriminator, and for each skill the density of the states it visits: a mixture of Gaussians with diagonal covariance.

    Args:
        discriminator: Maps features to logits.
        center: First means of the components.
    """

    def __init__(self, discriminator: Net, center: Float[Tensor, "n_skills n_component n_feature"]) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.center = nn.Parameter(center.clone())
        self.log_std = nn.Parameter(torch.full_like(center, math.log(FIRST_STD)))
        self.weight = nn.Parameter(torch.zeros(center.shape[:2]))

    def forward(self, feature: Float[Tensor, "*batch n_feature"]) -> Float[Tensor, "*batch n_skills"]:
        """Return the discriminator's logits."""
        return self.discriminator(feature)  # type: ignore[no-any-return]

    def log_density(
        self, skill: Float[Tensor, "n_task n_skills"], feature: Float[Tensor, "n_task n_episode n_step n_feature"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return the log density of features under each task's own skill."""
        index = skill.argmax(-1)
        std = LEAST_STD + self.log_std[index].exp()
        apart = (feature.flatten(1, 2).unsqueeze(2) - self.center[index].unsqueeze(1)) / std.unsqueeze(1)
        each = (-0.5 * apart.square() - std.unsqueeze(1).log() - 0.5 * math.log(2 * math.pi)).sum(-1)
        return (each + self.weight[index].log_softmax(-1).unsqueeze(1)).logsumexp(-1).reshape(feature.shape[:3])


@dataclass(frozen=True)
class Smm:
    r"""Reward skill $z$ with $-\log \rho_z(s) + \log q(z \mid s) - \log p(z)$: states that it visits rarely and that tell it from others.

    $\rho_z$ is the density of the states that the skill has visited. As a task a skill's reward is $\log q(z \mid s)$: the densities are
    what sends skills everywhere while they are found, and have no place in a task.

    Attributes:
        n_skills: How many skills, drawn uniformly.
        n_component: Gaussians in each density.
        hidden: Layers of the discriminator.
        floor: Least $\log q$ and least $\log \rho$ that count.

    Source:
        Lee et al. 2019, "Efficient Exploration via State Marginal Matching" (arXiv:1906.05274), algorithm 2, for a uniform target.
        Departures: mixtures of Gaussians on `process.feature` instead of a variational autoencoder; the density follows the policy by slow
        gradient steps, which stands in for the average over past policies; PPO instead of SAC.
    """

    n_skills: int = 16
    n_component: int = 8
    hidden: tuple[int, ...] = (64, 64)
    floor: float = -10.0
    trained: ClassVar[bool] = True

    @property
    def n_condition(self) -> int:
        """One-hot."""
        return self.n_skills

    def model(self, process: ControlledProcess, rng: Rng) -> Densities:
        """Return discriminator and densities."""
        net = Net(mlp_weights((process.n_feature, *self.hidden, self.n_skills), rng.fork("discriminator").torch()))
        shape = (self.n_skills, self.n_component, process.n_feature)
        return Densities(net, 0.5 * torch.randn(shape, generator=rng.fork("density").torch()))

    def draw(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_skills"]:
        """Return skills, all equally often."""
        return evenly(self.n_skills, n, rng)

    draw_tasks = draw

    def reward(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return the reward of the states reached; the target is uniform."""
        assert isinstance(model, Densities)
        feature = process.feature(trajectories.reached)
        density = model.log_density(skill, feature).clamp_min(self.floor)
        logits = model(feature).log_softmax(-1).clamp_min(self.floor)
        return marginal_reward(torch.zeros_like(density), density, logits, skill.argmax(-1)[:, None, None].expand(density.shape))

    def loss(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, ""]:
        """Return the mean surprise of the discriminator at the skill, and of each density at its skill's states."""
        assert isinstance(model, Densities)
        feature, alive = process.feature(trajectories.reached), trajectories.alive
        index = skill.argmax(-1)[:, None, None].expand(alive.shape)
        return F.cross_entropy(model(feature)[alive], index[alive]) - model.log_density(skill, feature)[alive].mean()

    def family(self, model: nn.Module, process: ControlledProcess) -> RewardFamily:
        r"""Return $\log q(z \mid s)$ of the state reached, not below the floor."""
        return log_guess(model, process, self.floor)

    @torch.no_grad()
    def measure(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Mapping[str, float]:
        """Return information, accuracy and chance, over all states reached."""
        return told_apart(model(process.feature(trajectories.reached)), skill, trajectories.alive)
