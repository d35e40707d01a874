"""Knows what a way to find skills has to say; all of them are found by the same `SkillDiscovery`."""

from collections.abc import Mapping
from typing import Protocol

from jaxtyping import Float
from torch import Tensor, nn

from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFamily
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng


class SkillObjective(Protocol):
    """One way to find skills; a frozen dataclass whose fields are its settings.

    A skill is a vector [n_condition] that the policy sees beside the observation: one-hot where skills are counted. In what follows every
    skill is a task of its own, so that trajectories have the shape [n_task, n_episode, n_step, ...] and skills [n_task, n_condition].
    """

    @property
    def n_condition(self) -> int:
        """Length of the vector that stands for a skill."""
        ...

    @property
    def trained(self) -> bool:
        """Whether there is anything to find; a random discriminator is taken as it is, and no policy is trained."""
        ...

    def model(self, process: ControlledProcess, rng: Rng) -> nn.Module:
        """Return what is learned besides the policy: discriminators, densities, dynamics, a learned prior."""
        ...

    def draw(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_condition"]:
        """Return `n` skills by their prior, spread as evenly over it as `n` allows."""
        ...

    def reward(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_condition"]
    ) -> Float[Tensor, "n_task n_episode n_step"]:
        """Return what the policy is rewarded with while skills are being found; without gradients."""
        ...

    def loss(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_condition"]
    ) -> Float[Tensor, ""]:
        """Return what the model descends on the same trajectories; gradients flow to the model."""
        ...

    def draw_tasks(self, model: nn.Module, n: int, rng: Rng) -> Float[Tensor, "n n_parameter"]:
        """Return parameters of `n` tasks to practice on; in most ways to find skills they are skills, drawn by `draw`."""
        ...

    def family(self, model: nn.Module, process: ControlledProcess) -> RewardFamily:
        """Return the reward of a task, parameter [n_task, n_parameter]: what is practiced on, and nothing else is kept."""
        ...

    def measure(
        self, model: nn.Module, process: ControlledProcess, trajectories: Trajectories, skill: Float[Tensor, "n_task n_condition"]
    ) -> Mapping[str, float]:
        """Return how far skills can be told apart, on trajectories of them: at least `information` in nats.

        Where skills are counted also `accuracy`, the share of states from which the skill is guessed right, and `chance`.
        """
        ...
