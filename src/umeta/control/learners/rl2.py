"""Knows RL2: a recurrent policy whose memory lasts over the episodes of a task, so that acting is also learning."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from umeta.control.envs.catalog import make_process
from umeta.control.nets.recurrent import Memory, RecurrentNet, Trial, run_trial
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFn, RewardTask, RewardTasks
from umeta.control.trajectory import Trajectories
from umeta.core.metalearner import Metrics
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.functional.policy_gradient import clipped_surrogate, mean_over_steps
from umeta.functional.returns import generalized_advantages, standardized


def hidden_rewards(memory: Memory, n_episode: int) -> Tensor:
    """Return that no episode's rewards are shown, bool [n_task, n_copy, n_episode]."""
    return torch.zeros(*memory.hidden.shape[:2], n_episode, dtype=torch.bool, device=memory.hidden.device)


@dataclass(frozen=True, eq=False)
class MemoryStage:
    """Learners of many tasks after some episodes.

    Attributes:
        process: Where they act.
        net: How.
        memory: What they know, one learner for each task.
        n_episode: Episodes of each task behind it.
    """

    process: ControlledProcess
    net: RecurrentNet
    memory: Memory
    n_episode: int

    def run(self, n_episode: int, rng: Rng) -> Trajectories:
        """Run episodes of every task, each from the same memory and without a reward to see."""
        memory = self.memory.copies(n_episode)
        return run_trial(self.process, self.net, None, memory, hidden_rewards(memory, 1), rng).episodes


@dataclass(frozen=True, eq=False)
class MemoryAgent:
    """A recurrent policy with the memory of one reward; each of its episodes starts from that memory and sees no reward.

    Attributes:
        process: Where it acts.
        net: How it acts.
        memory: What it knows, with one task and one copy in front.
    """

    process: ControlledProcess
    net: RecurrentNet
    memory: Memory

    def run(self, n_episode: int, rng: Rng) -> Trajectories:
        """Run episodes, with one task in front."""
        return MemoryStage(self.process, self.net, self.memory, 0).run(n_episode, rng)

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and memory."""
        named = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        return named | {"memory.hidden": self.memory.hidden.contiguous(), "memory.told": self.memory.told.contiguous()}

    def describe(self) -> dict[str, Any]:
        """Return type, process and size."""
        return {"type": "memory", "process": self.process.name, "n_hidden": self.net.n_hidden}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "MemoryAgent":
        """Rebuild from an artifact."""
        process = make_process(info["process"])
        net = _net_of(process, info["n_hidden"], tensors)
        return cls(process, net, Memory(tensors["memory.hidden"], tensors["memory.told"]))


@dataclass(frozen=True, eq=False)
class MemoryProcedure:
    """Learn a task by acting in it: no weight changes, only the memory does.

    Attributes:
        process: Where.
        net: Who acts; never changed.
        n_episode: Episodes of adaptation.
    """

    process: ControlledProcess
    net: RecurrentNet
    n_episode: int
    transductive: bool = False

    def with_episodes(self, n_episode: int) -> "MemoryProcedure":
        """Return the procedure that runs this many episodes."""
        return replace(self, n_episode=n_episode)

    def stages(self, tasks: RewardTasks, rng: Rng) -> Iterator[MemoryStage]:
        """Adapt to all tasks at once; yields the empty memory, and the memory after each episode."""
        memory = self.net.empty(len(tasks), 1)
        yield MemoryStage(self.process, self.net, memory, 0)
        for index in range(self.n_episode):
            shown = ~hidden_rewards(memory, 1)
            memory = run_trial(self.process, self.net, tasks, memory, shown, rng.fork("episode", index)).memory
            yield MemoryStage(self.process, self.net, memory, index + 1)

    def adapt(self, support: RewardFn, rng: Rng | None = None) -> MemoryAgent:
        """Run `n_episode` episodes and keep the memory of them.

        Args:
            support: The reward, see `RewardFn`.
            rng: Of the episodes; None takes seed 0.
        """
        *_, last = self.stages(RewardTasks.of([support]), rng or Rng.from_seed(0))
        return MemoryAgent(self.process, self.net, last.memory)

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights."""
        return {f"net.{name}": value for name, value in self.net.state_dict().items()}

    def describe(self) -> dict[str, Any]:
        """Return type, process and sizes."""
        return {"type": "memory", "process": self.process.name, "n_hidden": self.net.n_hidden, "n_episode": self.n_episode}

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "MemoryProcedure":
        """Rebuild from an artifact."""
        process = make_process(info["process"])
        return cls(process, _net_of(process, info["n_hidden"], tensors), info["n_episode"])


def _net_of(process: ControlledProcess, n_hidden: int, tensors: Mapping[str, Tensor]) -> RecurrentNet:
    net = RecurrentNet(process.observation.n, process.action, n_hidden, Rng.from_seed(0))
    net.load_state_dict({name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")})
    return net.requires_grad_(False)


@dataclass(frozen=True)
class Rl2:
    r"""Practice whole trials: several episodes of one task in a row, under a policy that remembers all of them.

    At each step the policy is told the observation, its last action, the reward of that, and whether an episode begins; what is learned
    is the return of the whole trial, so that it pays to explore first. In some episodes rewards are hidden, and the policy is told so: an
    agent that is used later has nobody to ask for rewards.

    Attributes:
        process: Where.
        n_hidden: Size of the memory.
        n_episode: Episodes of a trial; the exported procedure adapts in one less, for the last is that in which the result is used.
        n_copy: Trials of each task in a step; few, with many tasks, for what a trial returns depends on its task far more than on chance.
        hidden_share: Probability that the rewards of an episode after the first are hidden.
        lr: Adam's rate.
        n_epochs: How often the trials of a step are gone through.
        n_parts: Steps of the optimizer in each epoch.
        clip: PPO's $\epsilon$.
        entropy: Reward for each nat of the action's entropy.
        discount: $\gamma$; it reaches from one episode into the next.
        trace: $\lambda$ of the advantages.

    Source:
        Duan et al. 2016, "RL2: Fast Reinforcement Learning via Slow Reinforcement Learning" (arXiv:1611.02779). Departures: PPO instead of
        TRPO; episodes with hidden rewards; after an episode's early end the memory runs on to the horizon.
    """

    process: ControlledProcess
    n_hidden: int = 64
    n_episode: int = 4
    n_copy: int = 2
    hidden_share: float = 0.2
    lr: float = 3e-3
    n_epochs: int = 3
    n_parts: int = 2
    clip: float = 0.2
    entropy: float = 0.02
    discount: float = 0.95
    trace: float = 0.95

    def init(self, rng: Rng) -> ModuleState:
        """Return fresh weights and their optimizer."""
        net = RecurrentNet(self.process.observation.n, self.process.action, self.n_hidden, rng)
        return ModuleState({"net": net}, {"adam": torch.optim.Adam(net.parameters(), self.lr)})

    def step(self, state: ModuleState, tasks: Sequence[RewardTask], rng: Rng) -> tuple[ModuleState, Metrics]:
        """Run trials of every task and improve the policy on them."""
        net = state.modules["net"]
        assert isinstance(net, RecurrentNet) and isinstance(tasks, RewardTasks)
        memory = net.empty(len(tasks), self.n_copy)
        chance = torch.rand(len(tasks), self.n_copy, self.n_episode, generator=rng.fork("hidden").torch())
        shown = (chance >= self.hidden_share).to(memory.hidden.device)
        shown[..., 0] = True
        trial = run_trial(self.process, net, tasks, memory, shown, rng.fork("trial"))
        loss = self._improve(net, state.optimizers["adam"], trial, rng.fork("order"))
        returns = trial.reward.sum(-1).mean((0, 1))
        return state, {"loss": loss, "return_before": returns[0].item(), "return_after": returns[-1].item()}

    def _improve(self, net: RecurrentNet, optimizer: torch.optim.Optimizer, trial: Trial, rng: Rng) -> float:
        """Go through the trials several times; returns the last loss."""
        inputs = trial.inputs.flatten(0, 1)
        n_learner, n_all = inputs.shape[:2]
        action = trial.episodes.action.reshape(n_learner, n_all, *trial.episodes.action.shape[3:])
        alive = trial.episodes.alive.reshape(n_learner, n_all)
        old = trial.log_prob.flatten(0, 1)
        first = torch.zeros(n_learner, self.n_hidden, device=inputs.device)
        with torch.no_grad():
            value = net.critic(net.remember(inputs.transpose(0, 1), first)).squeeze(-1).T
            reward = trial.reward.reshape(n_learner, n_all) * (1 - self.discount)
            advantage = generalized_advantages(reward, value, torch.ones_like(alive), discount=self.discount, trace=self.trace)
            target = advantage + value
            advantage = standardized(advantage[None], alive[None])[0]
        loss = torch.zeros(())
        for epoch in range(self.n_epochs):
            order = torch.randperm(n_learner, generator=rng.fork("epoch", epoch).torch()).to(inputs.device)
            for part in order.chunk(self.n_parts):
                memory = net.remember(inputs[part].transpose(0, 1), first[part]).transpose(0, 1)[None]
                log_prob = net.policy.log_prob(net.actor.weights, memory, action[part][None])
                own = alive[part][None]
                gain = clipped_surrogate(log_prob, old[part][None], advantage[part][None], own, clip=self.clip)
                spread = mean_over_steps(net.policy.entropy(net.actor.weights, memory), own)
                error = mean_over_steps((net.critic(memory[0]).squeeze(-1) - target[part]).square()[None], own)
                loss = (error - gain - self.entropy * spread).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
        return loss.item()

    def export(self, state: ModuleState) -> MemoryProcedure:
        """Return a procedure with a copy of the weights."""
        net = state.modules["net"]
        assert isinstance(net, RecurrentNet)
        return MemoryProcedure(self.process, copy.deepcopy(net).requires_grad_(False), self.n_episode - 1)
