"""Knows how a policy with a memory acts: what it is told at each step, and what it keeps from one episode to the next."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.control.nets.module import Net
from umeta.control.nets.policy import Policy, make_policy, mlp_weights
from umeta.control.process import Box, ControlledProcess, Space
from umeta.control.reward import RewardTasks
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng


@dataclass(frozen=True, eq=False)
class Memory:
    """What is kept of all that came before, for many learners at once.

    Attributes:
        hidden: Of the recurrent network, [n_task, n_copy, n_hidden].
        told: The last action, the reward it had, whether an episode begins, and whether rewards are shown, [n_task, n_copy, n_told].
    """

    hidden: Float[Tensor, "n_task n_copy n_hidden"]
    told: Float[Tensor, "n_task n_copy n_told"]

    def copies(self, n_copy: int) -> "Memory":
        """Return copies of memories of which there is one for each task."""
        return Memory(self.hidden.expand(-1, n_copy, -1), self.told.expand(-1, n_copy, -1))


class RecurrentNet(nn.Module):
    """A gated recurrent unit with linear heads for the action and for the value.

    Args:
        n_observation: Length of what is seen.
        action: What can be done.
        n_hidden: Size of the memory.
        rng: Of the weights.

    Source:
        Cho et al. 2014 (arXiv:1406.1078), the unit.
    """

    def __init__(self, n_observation: int, action: Space, n_hidden: int, rng: Rng) -> None:
        super().__init__()
        self.action, self.n_hidden = action, n_hidden
        self.gru = nn.GRU(n_observation + self.n_told, n_hidden, device="meta").to_empty(device="cpu")
        generator = rng.fork("gru").torch()
        for parameter in self.gru.parameters():
            bound = 1 / math.sqrt(n_hidden)
            parameter.data = (2 * torch.rand(parameter.shape, generator=generator) - 1) * bound
        self.actor = Net(self.policy.init(rng.fork("actor")))
        self.critic = Net(mlp_weights((n_hidden, 1), rng.fork("critic").torch(), last_scale=0.1))

    @property
    def n_told(self) -> int:
        """Length of what is told beside the observation."""
        return self.action.n + 3

    @property
    def policy(self) -> Policy:
        """The head for the action; what it sees is the memory."""
        return make_policy(self.n_hidden, self.action, hidden=())

    def empty(self, n_task: int, n_copy: int) -> Memory:
        """Return the memory of a learner that has seen nothing."""
        like = self.actor.weights["b0"]
        told = like.new_zeros(n_task, n_copy, self.n_told)
        told[..., -2] = 1
        return Memory(like.new_zeros(n_task, n_copy, self.n_hidden), told)

    def remember(
        self, inputs: Float[Tensor, "n_step n_learner n_in"], hidden: Float[Tensor, "n_learner n_hidden"]
    ) -> Float[Tensor, "n_step n_learner n_hidden"]:
        """Return the memory at every step; gradients flow through all of them."""
        return self.gru(inputs, hidden[None].contiguous())[0]  # type: ignore[no-any-return]

    def tell(
        self,
        action: Shaped[Tensor, "n_task n_copy *action"],
        reward: Float[Tensor, "n_task n_copy"],
        *,
        begins: bool,
        shown: Bool[Tensor, "n_task n_copy"],
    ) -> Float[Tensor, "n_task n_copy n_told"]:
        """Return what is told at the next step; actions in units of their bounds."""
        if isinstance(self.action, Box):
            size = [max(abs(low), abs(high)) for low, high in zip(self.action.low, self.action.high, strict=True)]
            code = self.action.clip(action) / action.new_tensor([1.0 if math.isinf(value) else value for value in size])
        else:
            code = F.one_hot(action, self.action.n).float()
        flags = torch.stack([reward * shown, torch.full_like(reward, float(begins)), shown.float()], -1)
        return torch.cat([code, flags], -1)


@dataclass(frozen=True, eq=False)
class Trial:
    """Episodes one after the other, of learners that remember the earlier ones.

    Attributes:
        episodes: [n_task, n_copy * n_episode, n_step, ...]; the episodes of a copy lie side by side.
        reward: [n_task, n_copy, n_episode, n_step]; true also where it was not shown, 0 where there was none to ask.
        inputs: What the memory was told, [n_task, n_copy, n_episode * n_step, n_in].
        log_prob: Of the actions, [n_task, n_copy, n_episode * n_step].
        memory: After the last step.
    """

    episodes: Trajectories
    reward: Float[Tensor, "n_task n_copy n_episode n_step"]
    inputs: Float[Tensor, "n_task n_copy n_all n_in"]
    log_prob: Float[Tensor, "n_task n_copy n_all"]
    memory: Memory


@torch.no_grad()
def run_trial(
    process: ControlledProcess,
    net: RecurrentNet,
    tasks: RewardTasks | None,
    memory: Memory,
    shown: Bool[Tensor, "n_task n_copy n_episode"],
    rng: Rng,
) -> Trial:
    """Run episodes one after the other.

    Args:
        process: Where; every episode begins anew.
        net: Who acts.
        tasks: Their rewards are asked step by step; None where no reward is to be shown.
        memory: What is remembered from before.
        shown: Whether the rewards of an episode are shown to the memory.
        rng: Of everything in these episodes.
    """
    n_task, n_copy, n_episode = shown.shape
    generator = rng.fork("policy").torch(memory.hidden.device)
    hidden, told = memory.hidden.reshape(n_task * n_copy, -1), memory.told.clone()
    kept: dict[str, list[Tensor]] = {name: [] for name in ("seen", "done", "reached", "alive", "reward", "inputs", "log_prob")}
    for episode in range(n_episode):
        running = process.start(n_task, n_copy, rng.fork("process", episode))
        goes_on = torch.ones(n_task, n_copy, dtype=torch.bool, device=hidden.device)
        told[..., -2] = 1
        told[..., -1] = shown[..., episode]
        for _ in range(process.horizon):
            before = running.observation
            told_now = torch.cat([before, told], -1)
            hidden = net.remember(told_now.reshape(1, n_task * n_copy, -1), hidden)[0]
            action = net.policy.sample(net.actor.weights, hidden[None], net.policy.noise((1, n_task * n_copy), generator))
            log_prob = net.policy.log_prob(net.actor.weights, hidden[None], action).reshape(n_task, n_copy)
            action = action.reshape(n_task, n_copy, *action.shape[2:])
            after, still = running.step(action)
            reward = torch.zeros(n_task, n_copy, device=hidden.device)
            if tasks is not None:
                clipped = process.action.clip(action).unsqueeze(2)
                asked = tasks.family(tasks.parameter, before.unsqueeze(2), clipped, after.unsqueeze(2)).squeeze(2)
                reward = torch.where(goes_on, asked, 0.0)
            told = net.tell(action, reward, begins=False, shown=shown[..., episode])
            step = (before, action, after, goes_on, reward, told_now, log_prob)
            for values, value in zip(kept.values(), step, strict=True):
                values.append(value)
            goes_on = goes_on & still
    shape = (n_task, n_copy * n_episode, process.horizon)

    def by_episode(name: str) -> Tensor:
        return torch.stack(kept[name], 2).reshape(*shape, *kept[name][0].shape[2:])

    episodes = Trajectories(by_episode("seen"), by_episode("done"), by_episode("reached"), by_episode("alive"))
    earned = torch.stack(kept["reward"], 2).reshape(n_task, n_copy, n_episode, process.horizon)
    after_all = Memory(hidden.reshape(n_task, n_copy, -1), told)
    return Trial(episodes, earned, torch.stack(kept["inputs"], 2), torch.stack(kept["log_prob"], 2), after_all)
