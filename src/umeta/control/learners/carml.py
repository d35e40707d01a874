"""Knows CARML: tasks are what a mixture sees in the meta-learner's own trajectories, and both are renewed in turn."""

from dataclasses import dataclass

import torch
from torch import Tensor

from umeta.control.learners.gradient import GradientProcedure
from umeta.control.learners.maml import Maml
from umeta.control.reward import RewardDistribution, RewardTasks
from umeta.control.skills.discriminator import evenly
from umeta.control.skills.state_mixture import StateMixture
from umeta.core.metalearner import Metrics
from umeta.core.rng import Rng
from umeta.core.state import ModuleState


@dataclass(frozen=True)
class Carml:
    r"""Alternate: fit a mixture to trajectories of the meta-learner (expectation), then meta-train on its components (maximization).

    `init`, `step` and `export` are those of a training, see `umeta.core.loop.train`. The trajectories are those before and after
    adaptation to the tasks of the mixture so far; at first, those of a learner that has learned nothing.

    Attributes:
        learner: Who practices.
        n_skills: Components, all drawn equally often as tasks.
        n_between: Steps of the meta-learner between two fits.
        meta_batch_size: Tasks of each step, and tasks whose trajectories are fitted.
        n_episode: Episodes of each task that are fitted.
        n_iterations: Of expectation and maximization in a fit.
        spread: $\lambda$ of the reward $(\lambda - 1) \log q(s \mid z) + \log q(z \mid s)$.
        floor: Least log density and least reward that count.

    Source:
        Jabri et al. 2019, "Unsupervised Curricula for Visual Meta-Reinforcement Learning" (arXiv:1912.04226), algorithm 1. Departures:
        states instead of pixels, so Gaussians instead of a learned clustering; each fit begins anew; MAML instead of RL2; the latest
        trajectories only.
    """

    learner: Maml
    n_skills: int = 16
    n_between: int = 20
    meta_batch_size: int = 20
    n_episode: int = 10
    n_iterations: int = 15
    spread: float = 0.9
    floor: float = -20.0

    def init(self, rng: Rng) -> ModuleState:
        """Return a fresh meta-learner, and a mixture that was fitted to nothing yet."""
        state = self.learner.init(rng)
        state.modules["mixture"] = StateMixture(self.n_skills, self.learner.process.n_feature)
        return state

    def tasks(self, state: ModuleState) -> RewardDistribution:
        """Return the tasks of the mixture as it is."""
        mixture = state.modules["mixture"]
        assert isinstance(mixture, StateMixture)
        family = mixture.family(self.learner.process, self.spread, self.floor)
        return RewardDistribution(family, lambda n, rng: evenly(self.n_skills, n, rng))

    def step(self, state: ModuleState, rng: Rng) -> tuple[ModuleState, Metrics]:
        """Meta-train once; before that, fit the mixture where its time has come."""
        mixture = state.modules["mixture"]
        assert isinstance(mixture, StateMixture)
        if int(mixture.age) % self.n_between == 0:
            self._fit(state, mixture, rng.fork("fit"))
        tasks = self.tasks(state).sample_batch(rng.fork("tasks"), self.meta_batch_size)
        state, metrics = self.learner.step(state, tasks, rng.fork("step"))
        mixture.age += 1
        return state, {**metrics, "information": float(mixture.information)}

    def _fit(self, state: ModuleState, mixture: StateMixture, rng: Rng) -> None:
        process = self.learner.process
        procedure = self.learner.export(state).with_episodes(1)
        if int(mixture.age):
            tasks = self.tasks(state).sample_batch(rng.fork("tasks"), self.meta_batch_size)
            stages = list(procedure.stages(tasks, rng.fork("adapt")))
        else:
            stages = [next(procedure.stages(_unrewarded(self.meta_batch_size), rng))]
        runs = [stage.run(self.n_episode, rng.fork("run", index)) for index, stage in enumerate(stages)]
        feature = torch.cat([process.feature(run.reached).flatten(0, 1) for run in runs])
        alive = torch.cat([run.alive.flatten(0, 1) for run in runs])
        mixture.fit(feature, alive, rng.fork("mixture"), self.n_iterations)

    def export(self, state: ModuleState) -> GradientProcedure:
        """Return the meta-learner's procedure."""
        return self.learner.export(state)


def _unrewarded(n_task: int) -> RewardTasks:
    def nothing(parameter: Tensor, observation: Tensor, action: Tensor, reached: Tensor) -> Tensor:
        return torch.zeros(reached.shape[:-1], device=reached.device)

    return RewardTasks(nothing, torch.zeros(n_task, 1))
