"""Knows a mixture over the states of trajectories, fitted by expectation and maximization, and the rewards that it makes."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFamily
from umeta.core.rng import Rng
from umeta.functional.skills import mixture_reward

LEAST_STD, FIRST_STD = 0.05, 0.5


class StateMixture(nn.Module):
    r"""Gaussians with diagonal covariance; all states of a trajectory belong to the same one.

    Args:
        n_skills: Components.
        n_feature: Dimensions.
    """

    center: Float[Tensor, "n_skills n_feature"]
    std: Float[Tensor, "n_skills n_feature"]
    log_weight: Float[Tensor, " n_skills"]
    information: Float[Tensor, ""]
    age: Tensor

    def __init__(self, n_skills: int, n_feature: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(n_skills, n_feature))
        self.register_buffer("std", torch.full((n_skills, n_feature), FIRST_STD))
        self.register_buffer("log_weight", torch.full((n_skills,), -math.log(n_skills)))
        self.register_buffer("information", torch.zeros(()))
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))

    def log_density(self, feature: Float[Tensor, "*batch n_feature"]) -> Float[Tensor, "*batch n_skills"]:
        r"""Return $\log q(s \mid z)$ for every component."""
        apart = (feature.unsqueeze(-2) - self.center) / self.std
        return (-0.5 * apart.square() - self.std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def member(
        self, feature: Float[Tensor, "n_trajectory n_step n_feature"], alive: Bool[Tensor, "n_trajectory n_step"]
    ) -> Float[Tensor, "n_trajectory n_skills"]:
        r"""Return $q(z \mid \tau)$, the expectation step."""
        return ((self.log_density(feature) * alive.unsqueeze(-1)).sum(-2) + self.log_weight).softmax(-1)

    @torch.no_grad()
    def fit(
        self,
        feature: Float[Tensor, "n_trajectory n_step n_feature"],
        alive: Bool[Tensor, "n_trajectory n_step"],
        rng: Rng,
        n_iterations: int,
    ) -> None:
        """Fit anew: components begin at trajectories that lie far from one another.

        Args:
            feature: Of the states reached.
            alive: Which of them count.
            rng: Chooses the first trajectory.
            n_iterations: Of expectation and maximization.
        """
        counted = alive.unsqueeze(-1).to(feature.dtype)
        means = (feature * counted).sum(1) / counted.sum(1).clamp_min(1)
        chosen = [rng.integer(len(means))]
        nearest = (means - means[chosen[0]]).square().sum(-1)
        while len(chosen) < len(self.center):
            chosen.append(int(nearest.argmax()))
            nearest = torch.minimum(nearest, (means - means[chosen[-1]]).square().sum(-1))
        self.center.copy_(means[chosen])
        self.std.fill_(FIRST_STD)
        self.log_weight.fill_(-math.log(len(self.center)))
        for _ in range(n_iterations):
            self._maximize(self.member(feature, alive), feature, counted)
        member = self.member(feature, alive)
        prior = member.mean(0)
        self.information.copy_(torch.special.entr(prior).sum() - torch.special.entr(member).sum(-1).mean())

    def _maximize(self, member: Tensor, feature: Tensor, counted: Tensor) -> None:
        share = member.unsqueeze(1) * counted
        total = share.sum((0, 1)).clamp_min(1e-6).unsqueeze(-1)
        center = torch.einsum("ntk,ntf->kf", share, feature) / total
        square = torch.einsum("ntk,ntf->kf", share, feature.square()) / total - center.square()
        self.center.copy_(center)
        self.std.copy_((square.clamp_min(0) + LEAST_STD**2).sqrt())
        self.log_weight.copy_(((member.sum(0) + 1) / (len(member) + len(self.center))).log())

    def family(self, process: ControlledProcess, spread: float, floor: float) -> RewardFamily:
        """Return the reward of being in a component, see `mixture_reward`; its parameter is a one-hot component.

        The rewards are those of the mixture as it is now, whatever becomes of it later.
        """
        frozen = StateMixture(*self.center.shape)
        frozen.load_state_dict(self.state_dict())

        @torch.no_grad()
        def reward(skill: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
            density = frozen.log_density(process.feature(reached)).clamp_min(floor)
            index = skill.argmax(-1).reshape(-1, *(1,) * (density.ndim - 2)).expand(density.shape[:-1])
            return mixture_reward(density, frozen.log_weight, index, spread=spread).clamp_min(floor)

        return reward
