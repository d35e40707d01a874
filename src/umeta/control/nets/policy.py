"""Knows how a policy acts and how likely an action was, as a function of weights that may differ from task to task."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F

from umeta.control.process import Box, Space
from umeta.core.rng import Rng

Weights = dict[str, Tensor]
"""Named tensors, each with the tasks in front: [n_task, ...], or [1, ...] where all tasks share them."""

LEAST_LOG_STD, LARGEST_LOG_STD = math.log(1e-3), math.log(10.0)


def mlp_weights(sizes: tuple[int, ...], generator: torch.Generator, *, last_scale: float = 1.0) -> Weights:
    """Return fresh weights of a fully connected network with one task in front: Glorot uniform, biases 0.

    Args:
        sizes: Of the layers, input and output included.
        generator: Draws the weights.
        last_scale: Factor on the last layer's weights.
    """
    weights: Weights = {}
    for index, (n_in, n_out) in enumerate(pairwise(sizes)):
        bound = math.sqrt(6 / (n_in + n_out)) * (last_scale if index == len(sizes) - 2 else 1.0)
        weights[f"w{index}"] = (2 * torch.rand(1, n_in, n_out, generator=generator) - 1) * bound
        weights[f"b{index}"] = torch.zeros(1, n_out)
    return weights


def mlp(weights: Weights, inputs: Float[Tensor, "n_task *batch n_in"]) -> Float[Tensor, "n_task *batch n_out"]:
    """Apply each task's fully connected network, `tanh` between layers, to its own inputs: one batched product per layer."""
    n_layers = sum(name.startswith("w") for name in weights)
    shared = len(weights["w0"]) == 1
    hidden = inputs.reshape(1 if shared else len(inputs), -1, inputs.shape[-1])
    for index in range(n_layers):
        hidden = torch.baddbmm(weights[f"b{index}"][:, None], hidden, weights[f"w{index}"])
        if index < n_layers - 1:
            hidden = torch.tanh(hidden)
    return hidden.reshape(*inputs.shape[:-1], -1)


class Policy(Protocol):
    """Who acts. The weights are not part of it, so that tasks can have their own and gradients can be taken of them."""

    def init(self, rng: Rng) -> Weights:
        """Return fresh weights with one task in front."""
        ...

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "*batch n_noise"]:
        """Draw all that is random in as many actions."""
        ...

    def sample(
        self, weights: Weights, observation: Float[Tensor, "n_task *batch n"], noise: Float[Tensor, "n_task *batch n_noise"]
    ) -> Tensor:
        """Return an action for each observation, drawn by `noise`: float [n_task, *batch, n_action], or int64 [n_task, *batch]."""
        ...

    def best(self, weights: Weights, observation: Float[Tensor, "n_task *batch n"]) -> Tensor:
        """Return the likeliest action for each observation."""
        ...

    def log_prob(
        self, weights: Weights, observation: Float[Tensor, "n_task *batch n"], action: Shaped[Tensor, "n_task *all"]
    ) -> Float[Tensor, "n_task *batch"]:
        """Return the log density, or log probability, of actions; gradients flow to the weights."""
        ...

    def entropy(self, weights: Weights, observation: Float[Tensor, "n_task *batch n"]) -> Float[Tensor, "n_task *batch"]:
        """Return the entropy of the action in nats; gradients flow to the weights."""
        ...

    def divergence(self, old: Weights, weights: Weights, observation: Float[Tensor, "n_task *batch n"]) -> Float[Tensor, "n_task *batch"]:
        r"""Return $\mathrm{KL}(\pi_\text{old} \| \pi)$ of the action in nats; gradients flow to both weights."""
        ...


@dataclass(frozen=True)
class GaussianPolicy:
    """A Gaussian around the output of a network, with a spread that is learned and does not depend on the observation.

    Attributes:
        n_observation: Length of what is seen, a condition included.
        action: Bounds; the network's output -1 to 1 stands for them, and so does a standard deviation of 1 for half their distance. An
            infinite bound stands for -1 or 1.
        hidden: Sizes of the hidden layers.
        first_std: Standard deviation at the beginning, as a share of half the distance of the bounds.

    Source:
        Finn et al. 2017 (arXiv:1703.03400), appendix A.2. Departures: two layers of 64 with `tanh`; outputs are scaled to the bounds.
    """

    n_observation: int
    action: Box
    hidden: tuple[int, ...] = (64, 64)
    first_std: float = 1.0

    def init(self, rng: Rng) -> Weights:
        """Return fresh weights with one task in front."""
        weights = mlp_weights((self.n_observation, *self.hidden, self.action.n), rng.torch(), last_scale=0.1)
        return weights | {"log_std": torch.full((1, self.action.n), math.log(self.first_std))}

    def _scale(self, like: Tensor) -> tuple[Tensor, Tensor]:
        low = like.new_tensor([max(value, -1.0) if math.isinf(value) else value for value in self.action.low])
        high = like.new_tensor([min(value, 1.0) if math.isinf(value) else value for value in self.action.high])
        return (high + low) / 2, (high - low) / 2

    def _std(self, weights: Weights, ndim: int) -> Tensor:
        log_std = weights["log_std"].clamp(LEAST_LOG_STD, LARGEST_LOG_STD)
        return log_std.reshape(len(log_std), *(1,) * (ndim - 2), -1).exp()

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "*batch n_action"]:
        """Draw deviations from the mean, in standard deviations."""
        return torch.randn(*shape, self.action.n, generator=generator, device=generator.device)

    def sample(
        self, weights: Weights, observation: Float[Tensor, "n_task *batch n"], noise: Float[Tensor, "n_task *batch n_action"]
    ) -> Tensor:
        """Return an action for each observation."""
        mean = mlp(weights, observation)
        center, half = self._scale(mean)
        return center + half * (mean + self._std(weights, mean.ndim) * noise)

    def best(self, weights: Weights, observation: Float[Tensor, "n_task *batch n"]) -> Tensor:
        """Return the mean for each observation."""
        mean = mlp(weights, observation)
        center, half = self._scale(mean)
        return center + half * mean

    def log_prob(
        self, weights: Weights, observation: Float[Tensor, "n_task *batch n"], action: Float[Tensor, "n_task *batch n_action"]
    ) -> Float[Tensor, "n_task *batch"]:
        """Return the log density of actions in units of half the distance of the bounds; gradients flow to the weights."""
        mean = mlp(weights, observation)
        center, half = self._scale(mean)
        std = self._std(weights, mean.ndim)
        deviation = ((action - center) / half - mean) / std
        return (-0.5 * deviation.square() - std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self, weights: Weights, observation: Float[Tensor, "n_task *batch n"]) -> Float[Tensor, "n_task *batch"]:
        """Return the differential entropy in the same units as `log_prob`, in nats."""
        std = self._std(weights, observation.ndim)
        return (std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1).expand(observation.shape[:-1])

    def divergence(self, old: Weights, weights: Weights, observation: Float[Tensor, "n_task *batch n"]) -> Float[Tensor, "n_task *batch"]:
        r"""Return $\mathrm{KL}(\pi_\text{old} \| \pi)$ in nats; gradients flow to both weights."""
        was, std = self._std(old, observation.ndim), self._std(weights, observation.ndim)
        apart = mlp(old, observation) - mlp(weights, observation)
        return ((std / was).log() + (was.square() + apart.square()) / (2 * std.square()) - 0.5).sum(-1)


@dataclass(frozen=True)
class CategoricalPolicy:
    """One of several choices, with the network's outputs as log probabilities up to a constant.

    Attributes:
        n_observation: Length of what is seen, a condition included.
        n_choices: How many choices.
        hidden: Sizes of the hidden layers.
    """

    n_observation: int
    n_choices: int
    hidden: tuple[int, ...] = (64, 64)

    def init(self, rng: Rng) -> Weights:
        """Return fresh weights with one task in front."""
        return mlp_weights((self.n_observation, *self.hidden, self.n_choices), rng.torch(), last_scale=0.1)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "*batch n_choices"]:
        """Draw numbers between 0 and 1, one for each choice."""
        return torch.rand(*shape, self.n_choices, generator=generator, device=generator.device)

    def sample(
        self, weights: Weights, observation: Float[Tensor, "n_task *batch n"], noise: Float[Tensor, "n_task *batch n_choices"]
    ) -> Tensor:
        """Return a choice for each observation."""
        return (mlp(weights, observation) - torch.log(-torch.log(noise.clamp_min(1e-20)))).argmax(-1)

    def best(self, weights: Weights, observation: Float[Tensor, "n_task *batch n"]) -> Tensor:
        """Return the likeliest choice for each observation."""
        return mlp(weights, observation).argmax(-1)

    def log_prob(
        self, weights: Weights, observation: Float[Tensor, "n_task *batch n"], action: Int[Tensor, "n_task *batch"]
    ) -> Float[Tensor, "n_task *batch"]:
        """Return the log probability of choices; gradients flow to the weights."""
        return mlp(weights, observation).log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self, weights: Weights, observation: Float[Tensor, "n_task *batch n"]) -> Float[Tensor, "n_task *batch"]:
        """Return the entropy in nats."""
        log_p = F.log_softmax(mlp(weights, observation), -1)
        return -(log_p.exp() * log_p).sum(-1)

    def divergence(self, old: Weights, weights: Weights, observation: Float[Tensor, "n_task *batch n"]) -> Float[Tensor, "n_task *batch"]:
        r"""Return $\mathrm{KL}(\pi_\text{old} \| \pi)$ in nats; gradients flow to both weights."""
        was, log_p = (F.log_softmax(mlp(one, observation), -1) for one in (old, weights))
        return (was.exp() * (was - log_p)).sum(-1)


def make_policy(n_observation: int, action: Space, *, hidden: tuple[int, ...] = (64, 64)) -> Policy:
    """Return the policy that fits what can be done."""
    if isinstance(action, Box):
        return GaussianPolicy(n_observation, action, hidden)
    return CategoricalPolicy(n_observation, action.n, hidden)
