"""Knows DIAYN: skills that can be told apart by the states they reach, each under a policy that is as random as it can be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Diayn:
    r"""Reward skill $z$ with $\log q(z \mid s) - \log p(z)$ in the states it reaches, where $q$ learns to guess the skill.

    As a task a skill's reward is $\log q(z \mid s)$; the constant makes no difference.

    Attributes:
        n_skills: How many skills, drawn uniformly.
        hidden: Layers of the discriminator.
        floor: Least $\log q$ that counts, so that one hopeless state does not outweigh all others.
        trained: False takes a discriminator with random weights as it is, and finds nothing (UML-RANDOM): all that its tasks share is
            the process.

    Source:
        Eysenbach et al. 2019, "Diversity is All You Need" (arXiv:1802.06070), with the states reached scored. Departures: PPO on many
        episodes at once instead of SAC; the discriminator sees `process.feature`. UML-RANDOM: Gupta et al. 2018 (arXiv:1806.04640); its
        weights are not stated, here they are Glorot's with `tanh`.
    """

    n_skills: int = 16
    hidden: tuple[int, ...] = (64, 64)
    floor: float = -20.0
    trained: bool = True

    @property
    def n_condition(self) -> int:
        """One-hot."""
        return self.n_skills

    def model(self, process: ControlledProcess, rng: Rng) -> nn.Module:
        """Return the discriminator."""
        return Net(mlp_weights((process.n_feature, *self.hidden, self.n_skills), rng.torch()))

    def draw(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_skills"]:
        """Return skills, all equally often."""
        return evenly(self.n_skills, n, rng)

    draw_tasks = draw

    def reward(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return how much the state reached tells of the skill, 0 at chance."""
        log_q = self.family(model, process)(skill, trajectories.observation, trajectories.action, trajectories.reached)
        return log_q + math.log(self.n_skills)

    def loss(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, ""]:
        """Return the mean surprise of the discriminator."""
        logits = model(process.feature(trajectories.reached))
        index = skill.argmax(-1)[:, None, None].expand(trajectories.alive.shape)
        return F.cross_entropy(logits[trajectories.alive], index[trajectories.alive])

    def family(self, model: nn.Module, process: ControlledProcess) -> RewardFamily:
        r"""Return $\log q(z \mid s)$ of the state reached, not below the floor."""
        return log_guess(model, process, self.floor)

    @torch.no_grad()
    def measure(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Mapping[str, float]:
        """Return information, accuracy and chance, over all states reached."""
        return told_apart(model(process.feature(trajectories.reached)), skill, trajectories.alive)
