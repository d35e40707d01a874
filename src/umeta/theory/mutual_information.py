"""Knows the skills that tell most about themselves by where they end, and how far the answer is certified."""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.functional.capacity import capacity_weights, divergences
from umeta.theory.explorer import Explorer
from umeta.theory.planning import best_policies, marginals_of, mixed_policy
from umeta.theory.process import TabularProcess

MAX_ROUNDS = 60
MAX_ASCENTS = 60
NEW_EACH_ROUND = 40
NEGLIGIBLE = 1e-7
TINY = 1e-12
ROUNDED = 12
MAX_ENUMERATED = 200_000


@dataclass(frozen=True, eq=False)
class Skills:
    r"""Policies with probabilities, and the information $I(z; s_T)$ between the skill and the last state.

    Attributes:
        policies: Shape [n_skills, horizon, n_states], deterministic.
        weights: Shape [n_skills], the probability of each skill.
        marginals: Shape [n_skills, n_states], where each skill ends.
        information: $I(z; s_T)$ in nats.
        gap: How much further from the mixture than `information` the furthest policy is that was found. At a maximum over all policies it
            is 0, and `information + gap` is a bound for the policies that `searched` names.
        searched: What the gap speaks about.
        explorer: The mixture of the skills as one policy.
    """

    policies: np.ndarray
    weights: np.ndarray
    marginals: np.ndarray
    information: float
    gap: float
    searched: str
    explorer: Explorer

    def discriminator(self) -> Float[np.ndarray, "n_skills n_states"]:
        """Return $p(z | s_T)$ by Bayes' rule, which DIAYN learns with a network; 0 in states where no skill ends."""
        joint = self.weights[:, None] * self.marginals
        total = joint.sum(0)
        posterior: np.ndarray = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
        return posterior


def goal_skills(process: TabularProcess, *, tolerance: float = 1e-5) -> Skills:
    """Return the most informative probabilities of the skills "go to goal g", one for each reachable goal.

    The certificate covers these skills only: with noise, other policies tell more about themselves.
    """
    policies, _ = best_policies(process, np.eye(process.n_states)[process.goals()])
    return _weighed(process, policies, tolerance, "MI over goal skills", f"the {len(policies)} policies that go to a goal")


def exact_skills(process: TabularProcess, *, tolerance: float = 1e-9) -> Skills:
    """Return the most informative skills over all policies of a tiny process, by listing every distribution that one can end in.

    Raises:
        InputError: There are more than 200,000 of them.
    """
    policies = enumerate_policies(process)
    return _weighed(process, policies, tolerance, "MI (exact)", f"all policies: {len(policies)} differ in where they end")


def mutual_information_skills(
    process: TabularProcess, rng: Rng, *, tolerance: float = 1e-4, n_starts: int = 200, max_rounds: int = MAX_ROUNDS
) -> Skills:
    r"""Maximize $I(z; s_T)$ over all sets of policies, by Blahut and Arimoto's algorithm with column generation.

    Each round weighs the policies at hand, then looks for policies further from their mixture $q$ than $I$: any such policy raises the
    information. The furthest one maximizes a convex function, $\mathrm{KL}(\rho \| q)$, so the search is local: it replaces the function
    by its slope at a policy, solves that by dynamic programming, and repeats from `4 * n_starts` random policies and those at hand.

    Without noise the answer is exact. With noise the gap is what the search found and not a bound for all policies; use `exact_skills`
    on tiny processes, and `information_ceiling` for a loose bound that always holds.

    Args:
        process: What is explored.
        rng: Starts of the search.
        tolerance: Stop when the search finds no policy further than this above the information, in nats.
        n_starts: Random starts of each of four kinds, each round.
        max_rounds: Stop there at the latest; `gap` says how far it came.

    Source:
        Gupta et al. 2018 (arXiv:1806.04640v3), lemma 2, for deterministic dynamics. That the maximum minimizes
        $\max_\rho \mathrm{KL}(\rho \| q)$ is the redundancy-capacity theorem; for skills, Eysenbach et al. 2022 (arXiv:2110.02719), lemma
        6.5. The search is ours.
    """
    goals = process.goals()
    policies, _ = best_policies(process, np.eye(process.n_states)[goals])
    columns = marginals_of(process, policies)
    weights = np.full(len(policies), 1 / len(policies))
    information, gap, searched = 0.0, np.inf, ""
    for index in range(max_rounds):
        weights, information = capacity_weights(columns, weights, tolerance=tolerance / 10, max_iterations=5000)
        if information > np.log(len(goals)) - tolerance / 10:
            gap, searched = max(float(np.log(len(goals))) - information, 0.0), f"all policies: no skills tell more than log {len(goals)}"
            break
        mixture = weights @ columns
        starts = _starts(process, columns, mixture, rng.fork("round", index), n_starts)
        found, places, distance = _ascend(process, mixture, policies, columns, starts)
        gap = max(float(distance.max()) - information, 0.0)
        searched = f"what a local search found, from {len(places)} policies in each of {index + 1} rounds"
        if gap < tolerance or index == max_rounds - 1:
            break
        new = _furthest(places, distance, information + tolerance)
        kept = weights > NEGLIGIBLE
        policies, columns = np.concatenate([policies[kept], found[new]]), np.concatenate([columns[kept], places[new]])
        weights = np.concatenate([0.8 * weights[kept] / weights[kept].sum(), np.full(len(new), 0.2 / len(new))])
    return _skills(process, policies, columns, weights, information, gap, "MI (all policies)", searched)


def information_ceiling(process: TabularProcess, *, tolerance: float = 1e-4) -> float:
    r"""Return a bound on $I(z; s_T)$ that holds for every set of skills: the capacity of the last step alone.

    The last state depends on the skill through the last state but one and the last action only, so it cannot say more about the skill
    than about these two. The bound is loose under noise, and the log of the number of reachable goals without.
    """
    sources = np.repeat(process.reach[-2], process.n_actions)
    channel = np.unique(process.transitions[np.flatnonzero(sources)].toarray().round(ROUNDED), axis=0)
    weights, _ = capacity_weights(channel, tolerance=tolerance)
    return float(divergences(channel, weights @ channel).max())


def redundancy(process: TabularProcess, marginal: Float[np.ndarray, " n_states"], rng: Rng, *, n_starts: int = 200) -> float:
    r"""Return how far, in nats, the furthest policy that a local search finds ends from a marginal, $\max_\rho \mathrm{KL}(\rho \| q)$.

    This is the regret that mutual information minimizes: what is lost by preparing for `marginal` when any policy may be asked for.
    """
    policies, _ = best_policies(process, np.eye(process.n_states)[process.goals()])
    columns = marginals_of(process, policies)
    _, _, distance = _ascend(process, marginal, policies, columns, _starts(process, columns, marginal, rng, n_starts))
    return float(distance.max())


def enumerate_policies(process: TabularProcess, *, limit: int = MAX_ENUMERATED) -> Int[np.ndarray, "n_policies horizon n_states"]:
    """Return deterministic policies, one for each distribution of the last state that some deterministic policy has.

    Raises:
        InputError: There would be more than `limit` on the way.
    """
    n_states, n_actions, horizon = process.n_states, process.n_actions, process.horizon
    places = {b"": (process.start, np.zeros((horizon, n_states), np.int16))}
    for t in range(horizon):
        n_options = sum(float(n_actions) ** int((place > 0).sum()) for place, _ in places.values())
        if n_options > limit:
            raise InputError(
                f"listing all policies of {n_states} states, {n_actions} actions and horizon {horizon} takes over {limit:,}; use "
                "mutual_information_skills, which searches, or a smaller process"
            )
        after: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        for place, plan in places.values():
            occupied = np.flatnonzero(place > 0)
            for actions in itertools.product(range(n_actions), repeat=len(occupied)):
                end = np.asarray(place[occupied] @ process.transitions[occupied * n_actions + np.array(actions)])
                key = (end + 0.0).round(ROUNDED).tobytes()
                if key not in after:
                    extended = plan.copy()
                    extended[t, occupied] = actions
                    after[key] = (end, extended)
        places = after
    return np.array([plan for _, plan in places.values()])


def _weighed(process: TabularProcess, policies: np.ndarray, tolerance: float, name: str, searched: str) -> Skills:
    columns = marginals_of(process, policies)
    weights, information = capacity_weights(columns, tolerance=tolerance)
    gap = max(float(divergences(columns, weights @ columns).max()) - information, 0.0)
    return _skills(process, policies, columns, weights, information, gap, name, searched)


def _skills(
    process: TabularProcess,
    policies: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    information: float,
    gap: float,
    name: str,
    searched: str,
) -> Skills:
    explorer = Explorer.from_policy(name, process, mixed_policy(process, policies, weights))
    return Skills(policies, weights, columns, information, gap, searched, explorer)


def _starts(
    process: TabularProcess, columns: np.ndarray, mixture: np.ndarray, rng: Rng, n_starts: int
) -> Float[np.ndarray, "n_starts n_states"]:
    """Return distributions of last states from which the search goes up: ends of random goals, sets of goals, rare goals, and mixtures."""
    generator = rng.numpy()
    shape = (n_starts, process.n_states)
    rare = -np.log(np.maximum(mixture, TINY))
    rewards = [
        3 * generator.normal(size=shape),
        (generator.random(shape) < generator.random((n_starts, 1))).astype(np.float64),
        rare + 2 * generator.random((n_starts, 1)) * generator.normal(size=shape),
    ]
    policies, _ = best_policies(process, np.concatenate(rewards))
    blends = generator.dirichlet(np.full(len(columns), 0.3), n_starts) @ columns
    return np.concatenate([marginals_of(process, policies), blends])


def _ascend(
    process: TabularProcess, mixture: np.ndarray, policies: np.ndarray, columns: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Go up from policies and starts until no step helps; returns policies, where they end, and how far from the mixture that is."""
    places = np.concatenate([columns, starts])
    blank = np.zeros((len(starts), *policies.shape[1:]), policies.dtype)
    plans = np.concatenate([policies, blank])
    # A start is no policy of its own: whatever its slope leads to replaces it.
    distance = np.concatenate([divergences(columns, mixture), np.full(len(starts), -np.inf)])
    active = np.arange(len(places))
    log_mixture = np.log(np.maximum(mixture, TINY))
    for _ in range(MAX_ASCENTS):
        response, _ = best_policies(process, np.log(np.maximum(places[active], TINY)) - log_mixture)
        ends = marginals_of(process, response)
        reached = divergences(ends, mixture)
        better = reached > distance[active] + TINY
        active = active[better]
        if not active.size:
            break
        plans[active], places[active], distance[active] = response[better], ends[better], reached[better]
    return plans, places, distance


def _furthest(places: np.ndarray, distance: np.ndarray, least: float) -> Int[np.ndarray, " n_new"]:
    """Return the indices of the furthest different places beyond `least`."""
    order = np.argsort(-distance)
    order = order[distance[order] > least]
    _, first = np.unique(places[order].round(ROUNDED), axis=0, return_index=True)
    return order[np.sort(first)[:NEW_EACH_ROUND]]
