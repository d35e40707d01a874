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
from umeta.control.skills.places import N_PLACES, draw_places, places_passed
from umeta.control.trajectory import Trajectories, conditioned
from umeta.core.rng import Rng
from umeta.functional.skills import dynamics_reward

LEAST_SPREAD, FOLLOWED = 1e-3, 0.05


class SkillDynamics(nn.Module):
    """How a step changes the features under a skill: a Gaussian around a network's output, as wide as changes are large, and places passed.

    Args:
        net: Maps features and a skill to the mean change, in units of `spread`.
        others: Skills that every transition is compared with.
        n_feature: Features that change.
    """

    others: Float[Tensor, "n_others n_dim"]
    spread: Float[Tensor, " n_feature"]
    passed: Float[Tensor, "n_place n_feature"]

    def __init__(self, net: Net, others: Float[Tensor, "n_others n_dim"], n_feature: int) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("others", others)
        self.register_buffer("spread", torch.zeros(n_feature))
        self.register_buffer("passed", torch.zeros(N_PLACES, n_feature))

    @torch.no_grad()
    def follow(self, change: Float[Tensor, "n_seen n_feature"]) -> None:
        """Move the spread toward the root mean square of changes; the first time, all the way."""
        now = change.square().mean(0).sqrt().clamp_min(LEAST_SPREAD)
        self.spread.copy_(torch.where(self.spread > 0, self.spread.lerp(now, FOLLOWED), now))

    def log_prob(
        self,
        skill: Float[Tensor, "n_task n_dim"],
        before: Float[Tensor, "n_task n_episode n_step n_feature"],
        after: Float[Tensor, "n_task n_episode n_step n_feature"],
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return the log density of each task's transitions under its skill."""
        apart: Tensor = (after - before) / self.spread - self.net(conditioned(before, skill))
        return (-0.5 * apart.square() - self.spread.log() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def reward(self, skill: Tensor, before: Tensor, after: Tensor) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return how much more a transition is expected under its skill than under the others."""
        return dynamics_reward(self.log_prob(skill, before, after), self.log_prob_others(before, after))

    def log_prob_others(self, before: Tensor, after: Tensor) -> Float[Tensor, "n_task n_episode n_step n_others"]:
        """Return the log density of transitions under each of the skills that all are compared with."""
        return torch.stack([self.log_prob(one.expand(len(before), -1), before, after) for one in self.others], -1)

    def reach(self, place: Float[Tensor, "n_task n_feature"], feature: Tensor) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return the log density, under a skill that is not known, of getting to each task's place by the next step."""
        return self.log_prob_others(feature, place[:, None, None].expand_as(feature)).logsumexp(-1) - math.log(len(self.others))


@dataclass(frozen=True)
class Dads:
    r"""Reward skill $z$ with $\log q(s' \mid s, z) - \log E_{z'} q(s' \mid s, z')$ of each transition, where $q$ learns to predict.

    Skills are points of the cube $[-1, 1]^d$. A task is to be a step away from a place $g$ that skills pass, as far as $q$ knows: its
    reward is $\log E_z q(g \mid s', z)$ of the state reached $s'$. The skills' own reward makes poor tasks: where skills end, at the
    edge of what can be reached, nothing moves under any of them, so that it tells nothing of most steps.

    Attributes:
        n_dim: $d$.
        n_others: Skills that stand for the prior in the expectation.
        hidden: Layers of the prediction.

    Source:
        Sharma et al. 2020, "Dynamics-Aware Unsupervised Discovery of Skills" (arXiv:1907.01657), algorithm 1. Departures: one Gaussian
        instead of four experts, like them of width 1 where changes of `process.feature` are normalized, which is by their running root
        mean square; the skills of the expectation are drawn once; PPO instead of SAC; no planner: places become tasks.
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

    def draw_tasks(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_feature"]:
        """Return features of places that skills pass."""
        assert isinstance(model, SkillDynamics)
        return draw_places(model.passed, n, rng)

    @torch.no_grad()
    def reward(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_dim"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return how much more each transition is expected under its skill than under others."""
        assert isinstance(model, SkillDynamics)
        return model.reward(skill, process.feature(trajectories.observation), process.feature(trajectories.reached))

    def loss(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_dim"]
    ) -> Float[Tensor, ""]:
        """Return the mean surprise of the prediction; its spread follows the changes, and places that the episodes pass are kept."""
        assert isinstance(model, SkillDynamics)
        before, after = process.feature(trajectories.observation), process.feature(trajectories.reached)
        model.passed.copy_(places_passed(process, trajectories, lambda feature: feature))
        model.follow((after - before)[trajectories.alive])
        return -model.log_prob(skill, before, after)[trajectories.alive].mean()

    def family(self, model: nn.Module, process: ControlledProcess) -> RewardFamily:
        """Return how likely a step of some skill leads from the state reached to the place."""
        assert isinstance(model, SkillDynamics)

        @torch.no_grad()
        def reward(place: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
            return model.reach(place.to(reached.device), process.feature(reached))

        return reward

    @torch.no_grad()
    def measure(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_dim"]
    ) -> Mapping[str, float]:
        r"""Return the information $I(s'; z \mid s)$ in nats, as far as the prediction is right; at most $\log(L + 1)$."""
        return {"information": self.reward(model, process, trajectories, skill)[trajectories.alive].mean().item()}
