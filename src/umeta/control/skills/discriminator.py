"""Knows what a guess at the skill from a state is worth, as a reward and as a measure of how far skills can be told apart."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFamily
from umeta.core.rng import Rng
from umeta.functional.skills import skill_reward


def evenly(n_skills: int, n: int, rng: Rng) -> Float[Tensor, "n n_skills"]:
    """Return `n` one-hot skills: every skill in turn, in an order drawn anew for each round."""
    generator = rng.torch()
    rounds = [torch.randperm(n_skills, generator=generator) for _ in range(-(-n // n_skills))]
    return torch.eye(n_skills)[torch.cat(rounds)[:n]]


def log_guess(model: nn.Module, process: ControlledProcess, floor: float) -> RewardFamily:
    r"""Return the family of rewards $\log q(z \mid s)$ of the state reached; its parameter is a one-hot skill.

    Args:
        model: Maps features [..., n_feature] to logits [..., n_skills].
        process: Has the features.
        floor: The least reward, in nats.
    """

    @torch.no_grad()
    def log_q(skill: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
        log_probability: Tensor = model(process.feature(reached)).log_softmax(-1)
        own = skill.to(reached.device).reshape(len(skill), *(1,) * (reached.ndim - 2), -1)
        return (log_probability * own).sum(-1).clamp_min(floor)

    return log_q


def told_apart(
    logits: Float[Tensor, "n_task n_episode n_step n_skills"],
    skill: Float[Tensor, "n_task n_skills"],
    alive: Bool[Tensor, "n_task n_episode n_step"],
) -> Mapping[str, float]:
    r"""Return a lower bound of $I(s; z)$ in nats, $\log n + E \log q(z \mid s)$, the share of right guesses, and that of chance."""
    index = skill.argmax(-1)[:, None, None].expand(alive.shape)
    bound, right = skill_reward(logits, index)[alive].mean(), (logits.argmax(-1) == index)[alive]
    return {"information": bound.item(), "accuracy": right.float().mean().item(), "chance": 1 / skill.shape[-1]}
