"""Knows what a skill is rewarded for, in each of the ways to find skills without a reward."""

import math

from jaxtyping import Float, Int
from torch import Tensor


def skill_reward(skill_logits: Float[Tensor, "*batch n_skills"], skill: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    r"""Reward a state for revealing which skill is being run.

    $r_z(s) = \log q(z \mid s) - \log p(z)$, in nats, for a uniform prior. It is 0 where the discriminator is at chance and at most
    $\log n$; it has no lower bound, so clip it before feeding it to a value function.

    Args:
        skill_logits: Discriminator output for the state *reached*; normalized here.
        skill: Index in `[0, n_skills)` of the skill that was run.

    Returns:
        One reward per state. Gradients flow to the logits; detach them when training the policy.

    Raises:
        RuntimeError: If an index in `skill` is out of range.

    Source:
        Eysenbach et al. 2019, "Diversity is All You Need" (arXiv:1802.06070). The authors' code scores the state the action was
        taken *in*; this scores the state reached.

    Example:
        >>> skill_reward(torch.zeros(1, 4), torch.tensor([2]))
        tensor([0.])
    """
    log_q = skill_logits.log_softmax(-1).gather(-1, skill.unsqueeze(-1)).squeeze(-1)
    return log_q + math.log(skill_logits.shape[-1])
