"""Knows VALOR: skills that can be told apart by whole trajectories, few at first, and more as they are told apart well."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.control.nets.module import Net
from umeta.control.nets.policy import mlp_weights
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFamily
from umeta.control.skills.discriminator import evenly
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng
from umeta.functional.skills import grown_number

MEMORY = 0.9


class Decoder(nn.Module):
    """A guess at the skill from a few states of a trajectory, among the skills that are in use.

    Args:
        net: Maps the features of those states, one after the other, to logits.
        n_active: Skills in use at first.
    """

    n_active: Int[Tensor, ""]
    log_p: Float[Tensor, ""]

    def __init__(self, net: Net, n_active: int) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("n_active", torch.tensor(n_active))
        self.register_buffer("log_p", torch.tensor(-math.log(n_active)))

    def forward(self, features: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n_skills"]:
        """Return log probabilities; minus infinity for skills not in use."""
        logits: Tensor = self.net(features)
        unused = torch.arange(logits.shape[-1], device=logits.device) >= self.n_active
        return logits.masked_fill(unused, -torch.inf).log_softmax(-1)

    def grow(self, log_p: float, n_most: int) -> None:
        """Remember how well skills were told apart, and take more into use if that is well."""
        self.log_p.mul_(MEMORY).add_((1 - MEMORY) * log_p)
        n_active = grown_number(int(self.n_active), float(self.log_p), n_most)
        if n_active > int(self.n_active):
            self.n_active.fill_(n_active)
            self.log_p.fill_(-math.log(n_active))


@dataclass(frozen=True)
class Valor:
    r"""Reward skill $c$ with $\log P(c \mid \tau)$ of its trajectory $\tau$, of which the decoder sees a few states.

    The reward is paid in equal parts at every step. As a task a skill has the same reward.

    Attributes:
        n_skills: Skills at most.
        n_first: Skills in use at first.
        n_states: States that the decoder sees, the first and the last included, equally far apart.
        hidden: Layers of the decoder.
        floor: Least $\log P$ that counts.

    Source:
        Achiam et al. 2018, "Variational Option Discovery Algorithms" (arXiv:1807.10299). Departures: a fully connected decoder instead of
        a recurrent one; PPO; the reward in parts instead of at the end, so that an episode that ends early gets its share only; skills
        grow by a running mean of $\log P$ instead of that of one batch.
    """

    n_skills: int = 16
    n_first: int = 2
    n_states: int = 11
    hidden: tuple[int, ...] = (64, 64)
    floor: float = -20.0
    trained: ClassVar[bool] = True

    @property
    def n_condition(self) -> int:
        """One-hot."""
        return self.n_skills

    def model(self, process: ControlledProcess, rng: Rng) -> Decoder:
        """Return the decoder."""
        sizes = (self.n_states * process.n_feature, *self.hidden, self.n_skills)
        return Decoder(Net(mlp_weights(sizes, rng.torch())), min(self.n_first, self.n_skills))

    def draw(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_skills"]:
        """Return skills in use, all equally often."""
        assert isinstance(model, Decoder)
        n_active = int(model.n_active)
        return F.pad(evenly(n_active, n, rng), (0, self.n_skills - n_active))

    draw_tasks = draw

    def reward(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return each step's part of what its trajectory tells."""
        return self.family(model, process)(skill, trajectories.observation, trajectories.action, trajectories.reached)

    def _seen(
        self,
        process: ControlledProcess,
        observation: Float[Tensor, "n_task n_episode n_step n"],
        reached: Float[Tensor, "n_task n_episode n_step n"],
    ) -> Float[Tensor, "n_task n_episode n_seen"]:
        states = torch.cat([observation[:, :, :1], reached], 2)
        steps = torch.linspace(0, states.shape[2] - 1, self.n_states, device=states.device).round().long()
        return process.feature(states[:, :, steps]).flatten(2)

    def loss(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Float[Tensor, ""]:
        """Return the mean surprise of the decoder; where that is small, more skills come into use."""
        assert isinstance(model, Decoder)
        log_p = self._log_p(model, process, skill, trajectories.observation, trajectories.reached).mean()
        model.grow(log_p.item(), self.n_skills)
        return -log_p

    def _log_p(
        self, model: nn.Module, process: ControlledProcess, skill: Tensor, observation: Tensor, reached: Tensor
    ) -> Float[Tensor, "n_task n_episode"]:
        log_p = model(self._seen(process, observation, reached))
        return log_p.gather(-1, skill.argmax(-1)[:, None, None].expand(*log_p.shape[:2], 1)).squeeze(-1)  # type: ignore[no-any-return]

    def family(self, model: nn.Module, process: ControlledProcess) -> RewardFamily:
        r"""Return $\log P(c \mid \tau)$, not below the floor, in equal parts at the steps of $\tau$."""

        @torch.no_grad()
        def part(skill: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
            log_p = self._log_p(model, process, skill.to(reached.device), observation, reached).clamp_min(self.floor)
            n_step = reached.shape[2]
            return (log_p / n_step).unsqueeze(-1).expand(-1, -1, n_step)

        return part

    @torch.no_grad()
    def measure(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_skills"]
    ) -> Mapping[str, float]:
        """Return information, accuracy and chance over trajectories, and how many skills are in use."""
        assert isinstance(model, Decoder)
        log_p = model(self._seen(process, trajectories.observation, trajectories.reached))
        index = skill.argmax(-1)[:, None].expand(log_p.shape[:2])
        n_active = int(model.n_active)
        return {
            "information": log_p.gather(-1, index.unsqueeze(-1)).mean().item() + math.log(n_active),
            "accuracy": (log_p.argmax(-1) == index).float().mean().item(),
            "chance": 1 / n_active,
            "options": float(n_active),
        }
