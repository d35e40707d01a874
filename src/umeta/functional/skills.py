"""Knows what a skill is rewarded for, in each of the ways to find skills without a reward."""

import math

import torch
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


def option_reward(
    option_logits: Float[Tensor, "*batch n_skills"], log_prior: Float[Tensor, " n_skills"], skill: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    r"""Reward an episode for ending where its option can be told from the end, and for an option that is rare.

    $r_\Omega(s_f) = \log q(\Omega \mid s_f) - \log p(\Omega)$, in nats; its mean is a lower bound of $I(\Omega; s_f)$.

    Args:
        option_logits: Of the final state; normalized here.
        log_prior: Of each option; normalized already.
        skill: The option that was run.

    Returns:
        One reward per episode. Gradients flow to logits and prior.

    Source:
        Gregor et al. 2016, "Variational Intrinsic Control" (arXiv:1611.07507). Departure: where all episodes begin alike the
        first state tells nothing, so it is left out.
    """
    log_q = option_logits.log_softmax(-1).gather(-1, skill.unsqueeze(-1)).squeeze(-1)
    return log_q - log_prior[skill]


def grown_number(n_active: int, log_p: float, n_most: int, *, mastered: float = 0.86) -> int:
    r"""Return how many skills to tell apart next: $\min(\lfloor 1.5 K + 1 \rfloor, K_\max)$ once $K$ are told apart well, else $K$.

    Args:
        n_active: $K$.
        log_p: Mean log probability that the decoder gives to the skill that was run.
        n_most: $K_\max$.
        mastered: Probability from which skills count as told apart.

    Source:
        Achiam et al. 2018, "Variational Option Discovery Algorithms" (VALOR, arXiv:1807.10299).

    Example:
        >>> grown_number(2, math.log(0.9), 16), grown_number(2, math.log(0.8), 16), grown_number(13, 0.0, 16)
        (4, 2, 16)
    """
    return min(int(1.5 * n_active + 1), n_most) if log_p >= math.log(mastered) else n_active


def marginal_reward(
    log_target: Float[Tensor, "*batch"],
    log_density: Float[Tensor, "*batch"],
    skill_logits: Float[Tensor, "*batch n_skills"],
    skill: Int[Tensor, "*batch"],
) -> Float[Tensor, "*batch"]:
    r"""Reward a skill for states that are wanted, that it has visited rarely, and that tell it from the others.

    $r_z(s) = \log p^*(s) - \log \rho_z(s) + \log q(z \mid s) - \log p(z)$: the mixture of skills comes to visit states as often as $p^*$
    wants. Uniform prior.

    Args:
        log_target: $\log p^*$, up to a constant.
        log_density: $\log \rho_z$ of the skill that was run.
        skill_logits: Discriminator output for the state.
        skill: The skill that was run.

    Source:
        Lee et al. 2019, "Efficient Exploration via State Marginal Matching" (arXiv:1906.05274). The authors' code adds
        $-\log q(z \mid s)$ instead, which rewards skills that cannot be told apart; the sign here is the paper's.
    """
    return log_target - log_density + skill_reward(skill_logits, skill)


def dynamics_reward(log_prob: Float[Tensor, "*batch"], log_prob_others: Float[Tensor, "*batch n_others"]) -> Float[Tensor, "*batch"]:
    r"""Reward a transition for being what its skill predicts, and not what others predict.

    $\log q(s' \mid s, z) - \log \frac{1}{L + 1} \left(q(s' \mid s, z) + \sum_i q(s' \mid s, z_i)\right)$, in nats: 0 where the skill
    makes no difference, and at most $\log(L + 1)$. Its mean estimates $I(s'; z \mid s)$.

    Args:
        log_prob: $\log q(s' \mid s, z)$ of the skill that was run.
        log_prob_others: The same under $L$ skills of the prior.

    Returns:
        One reward per transition. Gradients flow.

    Source:
        Sharma et al. 2020, "Dynamics-Aware Unsupervised Discovery of Skills" (DADS, arXiv:1907.01657). Departure: the
        skill itself is among those that are compared, as in the authors' code, which bounds the reward.
    """
    everyone = torch.cat([log_prob.unsqueeze(-1), log_prob_others], -1)
    return log_prob - everyone.logsumexp(-1) + math.log(everyone.shape[-1])


def displacement_reward(
    before: Float[Tensor, "*batch dim"], after: Float[Tensor, "*batch dim"], skill: Float[Tensor, "*batch dim"]
) -> Float[Tensor, "*batch"]:
    r"""Reward a step for its way along the skill's direction in a representation, $(\phi(s') - \phi(s))^\top z$.

    Over an episode it adds up to the way from the first to the last state.

    Source:
        Park et al. 2024, "METRA" (arXiv:2310.08887).
    """
    return ((after - before) * skill).sum(-1)


def step_slack(before: Float[Tensor, "*batch dim"], after: Float[Tensor, "*batch dim"], *, most: float = 1e-3) -> Float[Tensor, "*batch"]:
    r"""Return by how much a step stays within the length 1, $\min(\epsilon, 1 - \lVert \phi(s') - \phi(s) \rVert^2)$; negative beyond it.

    A representation in which no step is longer than 1 has distances of at most the number of steps.

    Source:
        Park et al. 2024 (arXiv:2310.08887): what the dual variable is multiplied with.
    """
    return (1 - (after - before).square().sum(-1)).clamp_max(most)


def mixture_reward(
    log_density: Float[Tensor, "*batch n_skills"], log_weight: Float[Tensor, " n_skills"], skill: Int[Tensor, "*batch"], *, spread: float
) -> Float[Tensor, "*batch"]:
    r"""Reward a state for belonging to a component of a mixture, and more or less for being likely under it.

    $r_z(s) = (\lambda - 1) \log q(s \mid z) + \log q(z \mid s)$, with $q(z \mid s) \propto q(z) q(s \mid z)$.

    Args:
        log_density: $\log q(s \mid z)$ of every component.
        log_weight: $\log q(z)$.
        skill: The component that is the task.
        spread: $\lambda$ in `[0, 1]`; 1 leaves only the membership, less also rewards states that the component has seen rarely.

    Source:
        Jabri et al. 2019, "Unsupervised Curricula for Visual Meta-Reinforcement Learning" (CARML, arXiv:1912.04226).
    """
    own = log_density.gather(-1, skill.unsqueeze(-1)).squeeze(-1)
    member = (log_density + log_weight).log_softmax(-1).gather(-1, skill.unsqueeze(-1)).squeeze(-1)
    return (spread - 1) * own + member
