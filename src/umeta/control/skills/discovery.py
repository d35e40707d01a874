"""Knows how skills are found: run them all, learn what tells them apart, and make the policy better at it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from umeta.control.nets.baseline import ValueNet
from umeta.control.nets.module import Net
from umeta.control.nets.policy import Policy, make_policy
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardDistribution
from umeta.control.skills.objective import SkillObjective
from umeta.control.skills.ppo import Ppo
from umeta.control.trajectory import Trajectories, conditioned, rollout
from umeta.core.metalearner import Metrics
from umeta.core.rng import Rng
from umeta.core.state import ModuleState


@dataclass(frozen=True, eq=False)
class Skills:
    """What was found: a policy that runs each skill, and what each skill's reward is.

    Attributes:
        process: Where.
        objective: How.
        policy: Sees an observation and a skill; untrained where the objective is.
        actor: Its weights.
        model: What the objective learned.
    """

    process: ControlledProcess
    objective: SkillObjective
    policy: Policy
    actor: Net
    model: nn.Module

    @property
    def tasks(self) -> RewardDistribution:
        """The tasks to practice on that the skills make: the first waist."""
        family = self.objective.family(self.model, self.process)
        return RewardDistribution(family, lambda n, rng: self.objective.draw_tasks(self.model, n, rng))

    def run(self, skill: Tensor, n_episode: int, rng: Rng) -> Trajectories:
        """Run episodes of each skill, [n_task, n_condition]."""
        return rollout(self.process, self.policy, self.actor.weights, len(skill), n_episode, rng, condition=skill)

    def measure(self, n_skill: int, n_episode: int, rng: Rng) -> Mapping[str, float]:
        """Return how far skills can be told apart, on fresh episodes."""
        skill = self.objective.draw(self.model, n_skill, rng.fork("skill"))
        return self.objective.measure(self.model, self.process, self.run(skill, n_episode, rng.fork("episodes")), skill)

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights."""
        named = {"actor": self.actor, "model": self.model}
        return {f"{name}.{key}": value for name, module in named.items() for key, value in module.state_dict().items()}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> "Skills":
        """Take up weights that `tensors` returned; returns self."""
        for name, module in (("actor", self.actor), ("model", self.model)):
            module.load_state_dict({key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")})
        return self


@dataclass(frozen=True)
class SkillDiscovery:
    """Find skills by an objective; `init`, `step` and `export` are those of a training, see `umeta.core.loop.train`.

    Attributes:
        process: Where.
        objective: What a skill is rewarded with, and what is learned to tell.
        ppo: How the policy gets better.
        n_skill: Skills run in each step.
        n_episode: Episodes of each.
        lr: Adam's rate for policy and value.
        model_lr: Adam's rate for the objective's model.
        n_model_steps: Steps of the model for each step of the discovery.
    """

    process: ControlledProcess
    objective: SkillObjective
    ppo: Ppo = field(default_factory=Ppo)
    n_skill: int = 16
    n_episode: int = 16
    lr: float = 1e-3
    model_lr: float = 1e-3
    n_model_steps: int = 4

    @property
    def policy(self) -> Policy:
        """Who runs skills."""
        return make_policy(self.process.observation.n + self.objective.n_condition, self.process.action)

    @property
    def values(self) -> ValueNet:
        """The value of an observation under a skill."""
        return ValueNet(self.process.observation.n + self.objective.n_condition)

    def init(self, rng: Rng) -> ModuleState:
        """Return a fresh policy, value network and model."""
        actor, critic = Net(self.policy.init(rng.fork("actor"))), Net(self.values.init(rng.fork("critic")))
        model = self.objective.model(self.process, rng.fork("model"))
        optimizers: dict[str, torch.optim.Optimizer] = {"ppo": torch.optim.Adam([*actor.parameters(), *critic.parameters()], self.lr)}
        learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if learned:
            optimizers["adam"] = torch.optim.Adam(learned, self.model_lr)
        return ModuleState({"actor": actor, "critic": critic, "model": model}, optimizers, cosine=False)

    def step(self, state: ModuleState, rng: Rng) -> tuple[ModuleState, Metrics]:
        """Run skills, let the model learn from the episodes, and the policy from the model."""
        actor, critic, model = state.modules["actor"], state.modules["critic"], state.modules["model"]
        assert isinstance(actor, Net) and isinstance(critic, Net)
        skill = self.objective.draw(model, self.n_skill, rng.fork("skill"))
        episodes = rollout(self.process, self.policy, actor.weights, self.n_skill, self.n_episode, rng.fork("episodes"), condition=skill)
        loss = torch.zeros(())
        for _ in range(self.n_model_steps if "adam" in state.optimizers else 0):
            loss = self.objective.loss(model, self.process, episodes, skill)
            state.optimizers["adam"].zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            state.optimizers["adam"].step()
        with torch.no_grad():
            reward = self.objective.reward(model, self.process, episodes, skill)
        told = replace(episodes, observation=conditioned(episodes.observation, skill), reached=conditioned(episodes.reached, skill))
        self.ppo.improve(self.policy, actor, self.values, critic, state.optimizers["ppo"], told, reward, rng.fork("ppo"))
        return state, {"loss": loss.item(), **self.objective.measure(model, self.process, episodes, skill)}

    def export(self, state: ModuleState) -> Skills:
        """Return the skills with a copy of the weights."""
        return self.restore(state.tensors())

    def restore(self, tensors: Mapping[str, Tensor]) -> Skills:
        """Return the skills of which these are the weights."""
        model = self.objective.model(self.process, Rng.from_seed(0))
        skills = Skills(self.process, self.objective, self.policy, Net(self.policy.init(Rng.from_seed(0))), model)
        return skills.load_tensors({name: value.clone() for name, value in tensors.items()})
