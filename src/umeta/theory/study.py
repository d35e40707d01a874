"""Knows which explorers are set side by side on a process, and by which regrets."""

from dataclasses import dataclass

from umeta.core.rng import Rng
from umeta.theory.explorer import Explorer, random_walk, uniform_goals
from umeta.theory.minimax import Minimax, minimax_explorer
from umeta.theory.mutual_information import Skills, goal_skills, information_ceiling, mutual_information_skills, redundancy
from umeta.theory.process import TabularProcess
from umeta.theory.regret import worst_case


@dataclass(frozen=True)
class Entry:
    """One explorer by both regrets.

    Attributes:
        explorer: The explorer.
        worst: Expected hitting time of the worst goal, in episodes.
        goal: That goal.
        redundancy: How far the furthest policy that was found ends from where the explorer ends, in nats.
    """

    explorer: Explorer
    worst: float
    goal: int
    redundancy: float


@dataclass(frozen=True)
class Comparison:
    """All explorers on one process.

    Attributes:
        process: The process.
        entries: The explorers: minimax, mutual information over all policies, the same over goal skills, uniform goals, random walk.
        minimax: The linear program's solution with the adversary.
        skills: The most informative skills over all policies, with what their certificate covers.
        ceiling: A bound in nats on the information that any skills have.
    """

    process: TabularProcess
    entries: tuple[Entry, ...]
    minimax: Minimax
    skills: Skills
    ceiling: float


def compare_explorers(process: TabularProcess, rng: Rng, goals: list[int] | None = None) -> Comparison:
    """Find every optimum on a process, and score all explorers alike.

    Args:
        process: What is explored.
        rng: Of the search for skills.
        goals: States that may be the goal; all in which an episode can end if None.

    Raises:
        InputError: A goal cannot be reached at the horizon.
    """
    minimax = minimax_explorer(process, goals)
    skills = mutual_information_skills(process, rng.fork("skills"))
    explorers = (
        minimax.explorer,
        skills.explorer,
        goal_skills(process).explorer,
        uniform_goals(process, minimax.goals.tolist()),
        random_walk(process),
    )
    entries = []
    for explorer in explorers:
        worst, goal = worst_case(explorer.marginal, minimax.goals)
        furthest = (
            skills.information + skills.gap if explorer is skills.explorer else redundancy(process, explorer.marginal, rng.fork("far"))
        )
        entries.append(Entry(explorer, worst, goal, furthest))
    return Comparison(process, tuple(entries), minimax, skills, information_ceiling(process))
