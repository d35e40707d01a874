"""Knows how what the theory finds becomes tasks to practice on: goals of the adversary, or skills that reward being told apart."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.theory.explorer import Explorer
from umeta.theory.minimax import Minimax
from umeta.theory.mutual_information import Skills
from umeta.theory.process import TOLERANCE, TabularProcess


@dataclass(frozen=True, eq=False)
class Trials:
    """A controlled process with a reward for where an episode ends, and how many episodes may be run.

    Attributes:
        process: What is controlled; it has no reward of its own.
        reward: Shape [n_states], earned once, at the last step.
        n_episodes: Episodes that may be run.
        role: "support" or "query"; episodes of the two are drawn from different streams.
    """

    process: TabularProcess
    reward: np.ndarray
    n_episodes: int
    role: str

    def run(self, policy: Float[np.ndarray, "horizon n_states n_actions"], rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        """Run all episodes; returns the visited states [n_episodes, horizon + 1] and the return of each episode."""
        states = self.process.simulate(policy, self.n_episodes, rng.fork(self.role))
        return states, self.reward[states[:, -1]]


@dataclass(frozen=True, eq=False)
class TabularTask:
    """One reward on a process: episodes to learn from, and others to be scored on.

    Attributes:
        index: Which of the distribution's rewards.
        process: The process.
        reward: Shape [n_states].
        n_support: Episodes that `adapt` may run.
        n_query: Episodes of the score.
    """

    index: int
    process: TabularProcess
    reward: np.ndarray
    n_support: int
    n_query: int

    @property
    def support(self) -> Trials:
        """Episodes that `adapt` may run."""
        return Trials(self.process, self.reward, self.n_support, "support")

    @property
    def query(self) -> Trials:
        """Episodes of the score."""
        return Trials(self.process, self.reward, self.n_query, "query")


@dataclass(frozen=True, eq=False)
class TabularTasks:
    """A distribution over rewards of the last state: a `TaskDistribution` of `TabularTask`.

    Attributes:
        process: What all tasks control.
        rewards: Shape [n_rewards, n_states].
        probability: Shape [n_rewards].
        n_support: Episodes that `adapt` may run.
        n_query: Episodes of the score.

    Raises:
        InputError: Shapes disagree, or the probabilities do not sum to one.
    """

    process: TabularProcess
    rewards: np.ndarray
    probability: np.ndarray
    n_support: int = 20
    n_query: int = 20

    def __post_init__(self) -> None:
        if self.rewards.shape != (len(self.probability), self.process.n_states):
            raise InputError(f"{len(self.probability)} tasks on {self.process.n_states} states do not have rewards {self.rewards.shape}")
        if self.probability.min() < 0 or abs(self.probability.sum() - 1) > TOLERANCE:
            raise InputError(f"the probabilities of the tasks sum to {self.probability.sum():.6g}, not 1")

    def sample(self, rng: Rng) -> TabularTask:
        """Return one task."""
        return self.sample_batch(rng, 1)[0]

    def sample_batch(self, rng: Rng, n_tasks: int) -> list[TabularTask]:
        """Return many tasks, drawn independently."""
        drawn = rng.numpy().choice(len(self.probability), n_tasks, p=self.probability / self.probability.sum())
        return [TabularTask(int(i), self.process, self.rewards[i], self.n_support, self.n_query) for i in drawn]


def minimax_tasks(process: TabularProcess, solution: Minimax) -> TabularTasks:
    """Return the adversary's goals as tasks: the best memoryless procedure for them is the minimax explorer.

    The reward of a goal is 1 where the episode ends in it and 0 elsewhere.
    """
    return TabularTasks(process, np.eye(process.n_states)[solution.goals], solution.adversary)


def skill_tasks(process: TabularProcess, skills: Skills, *, floor: float = 1e-6) -> TabularTasks:
    r"""Return the skills as tasks: the reward of skill $z$ is $\log p(z | s_T)$, in nats, at most 0.

    Args:
        process: What is controlled.
        skills: Each becomes one task, drawn with its probability.
        floor: The least probability under the logarithm, so that rewards are finite.

    Source:
        Gupta et al. 2018 (arXiv:1806.04640v3), the mutual-information task proposal.
    """
    return TabularTasks(process, np.log(np.maximum(skills.discriminator(), floor)), skills.weights)


@dataclass(frozen=True, eq=False)
class ExplorerProcedure:
    """An explorer as a learning procedure: run it until the reward comes, then repeat the skill that earned most.

    Attributes:
        policies: Shape [n_skills, horizon, n_states, n_actions], what is chosen among in each episode.
        weights: Shape [n_skills], how often each is chosen.
    """

    policies: np.ndarray
    weights: np.ndarray

    @property
    def transductive(self) -> bool:
        """Never: a behavior does not depend on the episodes it is scored on."""
        return False

    @classmethod
    def from_skills(cls, skills: Skills, n_actions: int) -> "ExplorerProcedure":
        """Return the procedure that explores by a set of skills."""
        return cls(np.eye(n_actions)[skills.policies], skills.weights)

    def adapt(self, support: Trials, rng: Rng) -> Explorer:
        """Run at most the allowed episodes, stop at the first that earns a reward of 1, and keep the skill of the best."""
        chosen = rng.fork("skill").numpy().choice(len(self.weights), support.n_episodes, p=self.weights / self.weights.sum())
        best, most = int(chosen[0]), -np.inf
        for episode, skill in enumerate(chosen.tolist()):
            one = Trials(support.process, support.reward, 1, support.role)
            _, earned = one.run(self.policies[skill], rng.fork("episode", episode))
            if earned[0] > most:
                best, most = skill, float(earned[0])
            if most >= 1:
                break
        return Explorer.from_policy(f"skill {best}", support.process, self.policies[best])
