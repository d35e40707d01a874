"""Knows the tasks of a discriminator that was never trained: all that they share is the process itself."""

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
from umeta.control.skills.discriminator import evenly, log_guess, told_apart
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng


@dataclass(frozen=True)
class RandomDiscriminator:
    r"""Take a network with random weights for the discriminator; the reward of a task is its $\log q(z \mid s)$.

    Attributes:
        n_skills: Outputs of the network.
        hidden: Its layers.
        floor: Least $\log q$ that counts.

    Source:
        Gupta et al. 2018 (arXiv:1806.04640), UML-RANDOM. Departure: Glorot weights with `tanh`; theirs are not stated.
    """

    n_skills: int = 16
    hidden: tuple[int, ...] = (64, 64)
    floor: float = -20.0
    trained: ClassVar[bool] = False

    @property
    def n_condition(self) -> int:
        """One-hot."""
        return self.n_skills

    def model(self, process: ControlledProcess, rng: Rng) -> nn.Module:
        """Return the network."""
        return Net(mlp_weights((process.n_feature, *self.hidden, self.n_skills), rng.torch()))

    def draw(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_skills"]:
        """Return outputs, all equally often."""
        return evenly(self.n_skills, n, rng)

    def reward(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return the task's reward; nothing is trained with it."""
        return self.family(model, process)(skill, trajectories.observation, trajectories.action, trajectories.reached)

    def loss(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, ""]:
        """Return 0: nothing is learned."""
        return torch.zeros(())

    def family(self, model: nn.Module, process: ControlledProcess) -> RewardFamily:
        r"""Return $\log q(z \mid s)$ of the state reached, not below the floor."""
        return log_guess(model, process, self.floor)

    @torch.no_grad()
    def measure(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Mapping[str, float]:
        """Return information, accuracy and chance, over all states reached."""
        return told_apart(model(process.feature(trajectories.reached)), skill, trajectories.alive)
