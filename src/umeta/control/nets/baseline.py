"""Knows how much return to expect at a step: fitted to a few episodes at once, or learned by a network."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from umeta.control.nets.policy import Weights, mlp, mlp_weights
from umeta.core.rng import Rng

RIDGE = 1e-5


def linear_baseline(
    observation: Float[Tensor, "n_task n_episode n_step n"],
    returns: Float[Tensor, "n_task n_episode n_step"],
    alive: Bool[Tensor, "n_task n_episode n_step"],
) -> Float[Tensor, "n_task n_episode n_step"]:
    """Return each task's least-squares fit of its returns by its observations, their squares, and three powers of time.

    Args:
        observation: Before each step.
        returns: What was still to come.
        alive: Whether the step was taken; others have no weight in the fit.

    Source:
        Duan et al. 2016 (arXiv:1604.06778), the linear feature baseline that MAML uses. Departure: time is the share of the horizon behind.
    """
    n_step = observation.shape[2]
    time = torch.arange(n_step, device=observation.device, dtype=torch.float64).expand(observation.shape[:3]).unsqueeze(-1) / n_step
    wide = observation.double()
    features = torch.cat([wide, wide.square(), time, time.square(), time**3, torch.ones_like(time)], -1)
    rows = (features * alive.unsqueeze(-1)).flatten(1, 2)
    gram = rows.mT @ rows
    wanted = rows.mT @ returns.double().flatten(1, 2).unsqueeze(-1)
    eye = torch.eye(gram.shape[-1], device=gram.device, dtype=gram.dtype)
    coefficients = torch.linalg.solve(gram + RIDGE * eye, wanted)
    fitted: Tensor = features.flatten(1, 2) @ coefficients
    return fitted.reshape(returns.shape).to(returns.dtype)


@dataclass(frozen=True)
class ValueNet:
    """A network for the expected return; its input is the observation, a condition, and the share of the horizon behind.

    Attributes:
        n_observation: Length of what is seen, a condition included.
        hidden: Sizes of the hidden layers.
    """

    n_observation: int
    hidden: tuple[int, ...] = (64, 64)

    def init(self, rng: Rng) -> Weights:
        """Return fresh weights with one task in front; values begin near 0."""
        return mlp_weights((self.n_observation + 1, *self.hidden, 1), rng.torch(), last_scale=0.1)

    def value(self, weights: Weights, observation: Float[Tensor, "n_task n_episode n_step n"]) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return the value before each step of whole episodes; gradients flow to the weights."""
        n_step = observation.shape[2]
        time = (torch.arange(n_step, device=observation.device) / n_step).expand(observation.shape[:3]).unsqueeze(-1)
        return mlp(weights, torch.cat([observation, time], -1)).squeeze(-1)
