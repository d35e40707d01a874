"""Knows VIC: options that can be told apart by where they end, drawn by a prior that learns which of them can be."""

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
from umeta.control.skills.discriminator import log_guess
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng
from umeta.functional.skills import option_reward


def in_proportion(probability: Float[Tensor, " n_skills"], n: int, rng: Rng) -> Float[Tensor, "n n_skills"]:
    """Return `n` one-hot skills in random order, each as often as its probability wants, rounded up or down at random."""
    generator = rng.torch()
    marks = (torch.arange(n) + torch.rand(1, generator=generator)) / n
    index = torch.searchsorted(probability.cpu().cumsum(0), marks).clamp_max(len(probability) - 1)
    return torch.eye(len(probability))[index[torch.randperm(n, generator=generator)]]


class Options(nn.Module):
    """A discriminator of final states, and the logits of a prior.

    Args:
        discriminator: Maps features to logits.
        n_skills: Options.
    """

    def __init__(self, discriminator: Net, n_skills: int) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.prior = nn.Parameter(torch.zeros(n_skills))

    @property
    def log_prior(self) -> Float[Tensor, " n_skills"]:
        """Log probability of each option."""
        return self.prior.log_softmax(-1)

    def forward(self, feature: Float[Tensor, "*batch n_feature"]) -> Float[Tensor, "*batch n_skills"]:
        """Return the discriminator's logits."""
        return self.discriminator(feature)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Vic:
    r"""Reward option $\Omega$ with $\log q(\Omega \mid s_f) - \log p(\Omega)$ at the end $s_f$ of its episode, where $p$ is learned too.

    The reward is paid as it accrues: $\log q(\Omega \mid s_{t+1}) - \log q(\Omega \mid s_t)$ at step $t$, which adds up to the same over an
    episode, for it begins where nothing is told. As a task an option has the same reward.

    Attributes:
        n_skills: How many options at most; the prior may drop some.
        hidden: Layers of the discriminator.
        floor: Least $\log q$ that counts.

    Source:
        Gregor et al. 2016, "Variational Intrinsic Control" (arXiv:1611.07507), algorithm 1. Departures: PPO instead of Q-learning, the
        reward spread over the steps, the first state not shown to $q$, the prior by REINFORCE with the mean as its baseline.
    """

    n_skills: int = 16
    hidden: tuple[int, ...] = (64, 64)
    floor: float = -20.0
    trained: ClassVar[bool] = True

    @property
    def n_condition(self) -> int:
        """One-hot."""
        return self.n_skills

    def model(self, process: ControlledProcess, rng: Rng) -> Options:
        """Return discriminator and prior."""
        return Options(Net(mlp_weights((process.n_feature, *self.hidden, self.n_skills), rng.torch())), self.n_skills)

    def draw(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_skills"]:
        """Return options by the learned prior."""
        assert isinstance(model, Options)
        return in_proportion(model.log_prior.detach().exp(), n, rng)

    draw_tasks = draw

    def reward(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return what each step adds to what its episode's end tells."""
        return self.family(model, process)(skill, trajectories.observation, trajectories.action, trajectories.reached)

    def loss(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, ""]:
        """Return the surprise of the discriminator at the ends of episodes, and the objective of the prior."""
        assert isinstance(model, Options)
        logits, index = self._ends(model, process, trajectories, skill)
        gain = option_reward(logits, model.log_prior, index).detach().mean(-1)
        chosen = model.log_prior[skill.argmax(-1)]
        return F.cross_entropy(logits.flatten(0, 1), index.flatten()) - ((gain - gain.mean()) * chosen).mean()

    def _ends(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Tensor
    ) -> tuple[Float[Tensor, "n_task n_episode n_skills"], Tensor]:
        logits = model(process.feature(trajectories.reached[:, :, -1]))
        return logits, skill.argmax(-1)[:, None].expand(logits.shape[:2])

    def family(self, model: nn.Module, process: ControlledProcess) -> RewardFamily:
        r"""Return $\log q(\Omega \mid s') - \log q(\Omega \mid s)$, neither below the floor."""
        log_q = log_guess(model, process, self.floor)
        return lambda skill, observation, action, reached: (
            log_q(skill, observation, action, reached) - log_q(skill, observation, action, observation)
        )

    @torch.no_grad()
    def measure(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Mapping[str, float]:
        """Return information about the option, accuracy and chance, at the ends of episodes, and how many options the prior keeps."""
        assert isinstance(model, Options)
        logits, index = self._ends(model, process, trajectories, skill)
        prior = model.log_prior.exp()
        return {
            "information": option_reward(logits, model.log_prior, index).mean().item(),
            "accuracy": (logits.argmax(-1) == index).float().mean().item(),
            "chance": prior.max().item(),
            "options": torch.special.entr(prior).sum().exp().item(),
        }
