"""Knows what adaptation gives: a policy with the weights of one task, on disk and off it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.artifacts.artifact import read_artifact, write_artifact
from umeta.control.envs.catalog import make_process
from umeta.control.nets.policy import Policy, Weights, make_policy
from umeta.control.process import ControlledProcess
from umeta.control.trajectory import Trajectories, rollout
from umeta.core.rng import Rng

AGENT = "agent"


@dataclass(frozen=True, eq=False)
class Agent:
    """A policy that was adapted to one reward.

    Attributes:
        process: Where it acts.
        policy: How it acts.
        weights: Of the policy, with one task in front.
    """

    process: ControlledProcess
    policy: Policy
    weights: Weights

    @torch.no_grad()
    def act(self, observation: Float[Tensor, "*batch n_observation"]) -> Tensor:
        """Return the likeliest action for each observation, within the bounds of the process."""
        return self.process.action.clip(self.policy.best(self.weights, observation.unsqueeze(0))[0])

    def run(self, n_episode: int, rng: Rng) -> Trajectories:
        """Run episodes as the agent learned to act, at random; one task in front."""
        return rollout(self.process, self.policy, self.weights, 1, n_episode, rng)

    def save(self, folder: str | Path) -> None:
        """Write the agent as an artifact."""
        write_artifact(Path(folder), AGENT, self.weights, {"process": self.process.name})

    @classmethod
    def load(cls, folder: str | Path) -> "Agent":
        """Return the agent that `save` wrote; raises `ArtifactError` if it is not one or was altered."""
        weights, info = read_artifact(Path(folder), AGENT)
        process = make_process(info["process"])
        return cls(process, make_policy(process.observation.n, process.action), weights)
