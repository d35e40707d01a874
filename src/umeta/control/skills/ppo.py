"""Knows how a policy and its value network get better on episodes that it has just run."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.control.nets.baseline import ValueNet
from umeta.control.nets.module import Net
from umeta.control.nets.policy import Policy
from umeta.control.trajectory import Trajectories
from umeta.core.rng import Rng
from umeta.functional.policy_gradient import clipped_surrogate, mean_over_steps
from umeta.functional.returns import generalized_advantages, standardized


@dataclass(frozen=True)
class Ppo:
    r"""Proximal policy optimization on one large batch of episodes.

    Attributes:
        discount: $\gamma$. Values are kept in units of $1 / (1 - \gamma)$ rewards, so that they are of the size of one reward.
        trace: $\lambda$ of the advantages.
        clip: $\epsilon$ of the objective.
        n_epochs: How often all episodes are gone through.
        n_parts: Steps of the optimizer in each epoch; every part has some episodes of every task.
        entropy: Reward for each nat of the action's entropy.
        value_weight: Weight of the squared error of the value.

    Source:
        Schulman et al. 2017 (arXiv:1707.06347). Departures: advantages are standardized over the batch, values are not clipped.
    """

    discount: float = 0.95
    trace: float = 0.95
    clip: float = 0.2
    n_epochs: int = 4
    n_parts: int = 4
    entropy: float = 0.01
    value_weight: float = 1.0

    def improve(
        self,
        policy: Policy,
        actor: Net,
        values: ValueNet,
        critic: Net,
        optimizer: torch.optim.Optimizer,
        episodes: Trajectories,
        reward: Float[Tensor, "n_task n_episode n_step"],
        rng: Rng,
    ) -> None:
        """Change actor and critic.

        Args:
            policy: Who acts, by the weights of `actor`.
            actor: One set of weights for all tasks.
            values: How values are computed by the weights of `critic`.
            critic: One set of weights for all tasks.
            optimizer: Of both.
            episodes: With observations as the policy saw them, a condition included.
            reward: Of every step.
            rng: Decides which episodes go together.
        """
        seen, action, alive = episodes.observation, episodes.action, episodes.alive
        unit = 1 - self.discount
        with torch.no_grad():
            old_log_prob = policy.log_prob(actor.weights, seen, action)
            value = values.value(critic.weights, seen)
            advantage = generalized_advantages(reward * unit, value, alive, discount=self.discount, trace=self.trace)
            target = advantage + value
            advantage = standardized(advantage[None], alive[None])[0]
        for epoch in range(self.n_epochs):
            order = torch.randperm(seen.shape[1], generator=rng.fork("order", epoch).torch()).to(seen.device)
            for part in order.chunk(self.n_parts):
                own_seen, own_alive = seen[:, part], alive[:, part]
                log_prob = policy.log_prob(actor.weights, own_seen, action[:, part])
                gain = clipped_surrogate(log_prob, old_log_prob[:, part], advantage[:, part], own_alive, clip=self.clip)
                spread = mean_over_steps(policy.entropy(actor.weights, own_seen), own_alive)
                error = mean_over_steps((values.value(critic.weights, own_seen) - target[:, part]).square(), own_alive)
                loss = (self.value_weight * error - gain - self.entropy * spread).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
