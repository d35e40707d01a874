"""Knows METRA: skills that go as far as they can along directions of a representation in which distance is time."""

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
from umeta.control.skills.continuous import evenly_on_sphere, told_from_batch
from umeta.control.skills.discriminator import evenly
from umeta.control.skills.places import N_PLACES, draw_places, places_passed
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng
from umeta.functional.skills import displacement_reward, step_slack


class Representation(nn.Module):
    """A map of features in which a step is at most 1 long, what a longer step costs, and places that skills pass.

    Args:
        net: The map.
        price: First value of the dual variable.
        n_feature: Features.
    """

    passed: Float[Tensor, "n_place n_feature"]

    def __init__(self, net: Net, price: float, n_feature: int) -> None:
        super().__init__()
        self.net = net
        self.log_price = nn.Parameter(torch.tensor(math.log(price)))
        self.register_buffer("passed", torch.zeros(N_PLACES, n_feature))

    def forward(self, feature: Float[Tensor, "*batch n_feature"]) -> Float[Tensor, "*batch n_dim"]:
        """Return the place of features in the representation."""
        return self.net(feature)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Metra:
    r"""Reward skill $z$ with $(\phi(s') - \phi(s))^\top z$, where $\phi$ learns to make that large while no step gets longer than 1.

    Skills are directions of length 1, or with `discrete` one of $d$ choices, one-hot and centered. A task is to be at a place $g$ that
    skills pass, with the reward $-\lVert \phi(s') - \phi(g) \rVert$: the time to get there. The skills' own reward makes poor tasks: over
    an episode it adds up to the way from the first to the last state, so that it tells nothing of most steps, and it never asks to stay.

    Attributes:
        n_dim: $d$, the dimension of $\phi$ and of skills.
        discrete: Whether skills are counted.
        hidden: Layers of $\phi$.
        price: First value of the dual variable.

    Source:
        Park et al. 2024, "METRA: Scalable Unsupervised RL with Metric-Aware Abstraction" (arXiv:2310.08887). Departures: PPO instead of
        SAC; $\phi$ sees `process.feature`; the logarithm of the dual variable is what is learned, at the rate of $\phi$. The paper
        practices on nothing; it reaches a goal without learning by the skill $\phi(g) - \phi(s)$.
    """

    n_dim: int = 2
    discrete: bool = False
    hidden: tuple[int, ...] = (64, 64)
    price: float = 30.0
    trained: ClassVar[bool] = True

    @property
    def n_condition(self) -> int:
        """The direction."""
        return self.n_dim

    def model(self, process: ControlledProcess, rng: Rng) -> Representation:
        """Return the representation."""
        return Representation(Net(mlp_weights((process.n_feature, *self.hidden, self.n_dim), rng.torch())), self.price, process.n_feature)

    def draw(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_dim"]:
        """Return directions."""
        if not self.discrete:
            return evenly_on_sphere(n, self.n_dim, rng)
        return (evenly(self.n_dim, n, rng) - 1 / self.n_dim) * self.n_dim / (self.n_dim - 1)

    def draw_tasks(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_feature"]:
        """Return features of places that skills pass."""
        assert isinstance(model, Representation)
        return draw_places(model.passed, n, rng)

    @torch.no_grad()
    def reward(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_dim"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return each step's way along its skill."""
        before, after = model(process.feature(trajectories.observation)), model(process.feature(trajectories.reached))
        return displacement_reward(before, after, skill[:, None, None].expand_as(before))

    def loss(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_dim"]
    ) -> Float[Tensor, ""]:
        """Return what the representation descends, and what the price of long steps does: each takes the other for a constant.

        The places that the episodes pass are remembered.
        """
        assert isinstance(model, Representation)
        model.passed.copy_(places_passed(process, trajectories, model))
        before, after = model(process.feature(trajectories.observation)), model(process.feature(trajectories.reached))
        alive, price = trajectories.alive, model.log_price.exp()
        along = displacement_reward(before, after, skill[:, None, None].expand_as(before))[alive].mean()
        slack = step_slack(before, after)[alive].mean()
        return price * slack.detach() - (along + price.detach() * slack)

    def family(self, model: nn.Module, process: ControlledProcess) -> RewardFamily:
        """Return minus the distance in the representation from the state reached to the place."""

        @torch.no_grad()
        def reward(place: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
            there: Tensor = model(place.to(reached.device))
            apart: Tensor = model(process.feature(reached)) - there[:, None, None]
            distance: Tensor = torch.linalg.vector_norm(apart, dim=-1)
            return -distance

        return reward

    @torch.no_grad()
    def measure(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_dim"]
    ) -> Mapping[str, float]:
        """Return a bound on the information that an episode's way has about its skill, in nats, and the mean length of that way."""
        first, last = trajectories.observation[:, :, 0], trajectories.reached[:, :, -1]
        way = model(process.feature(last)) - model(process.feature(first))
        return {"information": told_from_batch(way @ skill.T).item(), "way": way.norm(dim=-1).mean().item()}
