"""Knows which complete runs in an environment have a name, and every setting of each."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from umeta.control.learners.inner import InnerLoop
from umeta.control.skills.ppo import Ppo
from umeta.core.errors import InputError

NOT_FOR_MEMORY = {
    "valor": "its rewards are those of whole episodes, and a memory is told each step's",
    "carml": "its tasks are made of episodes before and after a gradient step",
}


@dataclass(frozen=True)
class ControlRecipe:
    """A complete run in an environment: where rewards come from, and who learns to learn them.

    Attributes:
        name: What it is called.
        summary: One line for `umeta recipes`.
        papers: Keys in `papers.BIBTEX`.
        objective: A key of `OBJECTIVES`; "carml" makes tasks of the meta-learner's own trajectories, in turn with practice; None takes the
            true rewards of a benchmark, for an oracle.
        settings: Of the objective, where they differ from its defaults.
        learner: Who practices: "maml", or "rl2", a memory that lasts over the episodes of a task.
        memory: Settings of "rl2", where they differ from its defaults.
        skills_share: Share of a time budget until skills are found.
        ppo: How the policy of the skills gets better.
        n_skill: Skills run in each step of the discovery.
        n_skill_episode: Episodes of each.
        skill_lr: Of the policy of the skills.
        model_lr: Of the objective's model.
        inner: How a task is learned while practicing.
        n_adapt_steps: Gradient steps of the procedure that is shipped.
        n_adapt_episodes: Episodes of each of its steps.
        meta_batch_size: Tasks per step.
        outer_lr: Adam's first rate; it follows half a cosine to 0.
        n_outer_steps: Steps of the optimizer for each batch of episodes.
        learn_rates: Learn a rate for each weight (Meta-SGD).
        outer: How the shared weights of "maml" move: "ppo", or "trpo" as published.

    Raises:
        InputError: The learner has no use for a setting, or for rewards of this kind.
    """

    name: str
    summary: str
    papers: tuple[str, ...]
    objective: str | None = "diayn"
    settings: Mapping[str, Any] = field(default_factory=dict)
    learner: Literal["maml", "rl2"] = "maml"
    memory: Mapping[str, Any] = field(default_factory=dict)
    skills_share: float = 0.5
    ppo: Ppo = field(default_factory=Ppo)
    n_skill: int = 16
    n_skill_episode: int = 16
    skill_lr: float = 1e-3
    model_lr: float = 1e-3
    inner: InnerLoop = field(default_factory=lambda: InnerLoop(n_steps=2, n_episode=10))
    n_adapt_steps: int = 5
    n_adapt_episodes: int = 20
    meta_batch_size: int = 20
    outer_lr: float = 3e-3
    n_outer_steps: int = 1
    learn_rates: bool = False
    outer: Literal["ppo", "trpo"] = "ppo"

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.learner != "rl2":
            return
        if self.objective in NOT_FOR_MEMORY:
            raise InputError(f"{self.objective} cannot be practiced on by rl2, for {NOT_FOR_MEMORY[self.objective]}; take the learner maml")
        unused = {"--first-order": self.inner.first_order, "--outer trpo": self.outer != "ppo", "learn_rates": self.learn_rates}
        given = next((name for name, is_given in unused.items() if is_given), None)
        if given is not None:
            raise InputError(f"{given} is for recipes with MAML, and {self.name} learns by a memory (RL2); leave it out")


PAPERS = ("gupta2018unsupervised", "finn2017maml", "rothfuss2019promp")


def uml_diayn() -> ControlRecipe:
    """Skills by DIAYN, their discriminator as rewards, MAML on them."""
    return ControlRecipe(
        name="uml-diayn",
        summary="skills that can be told apart (DIAYN) as rewards, MAML with policy gradients",
        papers=(*PAPERS, "eysenbach2019diayn", "schulman2017ppo"),
    )


def uml_random() -> ControlRecipe:
    """Rewards of a discriminator with random weights, MAML on them."""
    return ControlRecipe(
        name="uml-random",
        summary="a random network's outputs as rewards, MAML with policy gradients",
        papers=PAPERS,
        objective="random",
    )


def uml_vic() -> ControlRecipe:
    """Options by VIC, told apart by where they end, MAML on them."""
    return ControlRecipe(
        name="uml-vic",
        summary="options that can be told apart by where they end, with a learned prior (VIC), MAML",
        papers=(*PAPERS, "gregor2016vic", "schulman2017ppo"),
        objective="vic",
    )


def uml_valor() -> ControlRecipe:
    """Skills by VALOR, told apart by whole trajectories, more and more of them, MAML on them."""
    return ControlRecipe(
        name="uml-valor",
        summary="skills that can be told apart by whole trajectories, more and more of them (VALOR), MAML",
        papers=(*PAPERS, "achiam2018valor", "schulman2017ppo"),
        objective="valor",
    )


def uml_smm() -> ControlRecipe:
    """Skills that together visit every state, by state marginal matching, MAML on them."""
    return ControlRecipe(
        name="uml-smm",
        summary="skills that together visit all states equally often (SMM), MAML",
        papers=(*PAPERS, "lee2019smm", "schulman2017ppo"),
        objective="smm",
    )


def uml_dads() -> ControlRecipe:
    """Continuous skills under which the process can be predicted, by DADS, MAML on them."""
    return ControlRecipe(
        name="uml-dads",
        summary="continuous skills with predictable dynamics (DADS), MAML",
        papers=(*PAPERS, "sharma2020dads", "schulman2017ppo"),
        objective="dads",
    )


def uml_metra() -> ControlRecipe:
    """Directions of a representation in which distance is time, by METRA, MAML on them."""
    return ControlRecipe(
        name="uml-metra",
        summary="directions in a representation where distance is time (METRA), MAML",
        papers=(*PAPERS, "park2024metra", "schulman2017ppo"),
        objective="metra",
    )


def carml() -> ControlRecipe:
    """A mixture over the meta-learner's own trajectories proposes tasks, in turn with practice on them."""
    return ControlRecipe(
        name="carml",
        summary="a mixture over the learner's own trajectories proposes tasks, in turn with practice (CARML), MAML",
        papers=("jabri2019carml", *PAPERS[1:]),
        objective="carml",
    )


def rl2_diayn() -> ControlRecipe:
    """Skills by DIAYN as rewards, and a memory that learns them by acting."""
    return replace(
        uml_diayn(),
        name="rl2-diayn",
        summary="skills that can be told apart (DIAYN) as rewards, a memory over episodes (RL2)",
        papers=(PAPERS[0], "duan2016rl2", "eysenbach2019diayn", "schulman2017ppo"),
        learner="rl2",
        skills_share=0.3,
        meta_batch_size=160,
    )


def rl2_oracle() -> ControlRecipe:
    """A memory over episodes, on the true rewards of the benchmark that belongs to the environment."""
    return replace(
        oracle_goals(),
        name="rl2-oracle",
        summary="oracle: a memory over episodes (RL2) on the true rewards of an environment's benchmark",
        papers=("duan2016rl2", "schulman2017ppo"),
        learner="rl2",
        meta_batch_size=160,
    )


def oracle_goals() -> ControlRecipe:
    """MAML on the true rewards of the benchmark that belongs to the environment: the bound with hand-made tasks."""
    return ControlRecipe(
        name="oracle-goals",
        summary="oracle: MAML on the true rewards of an environment's benchmark",
        papers=PAPERS[1:],
        objective=None,
    )


CONTROL_RECIPES: dict[str, Callable[[], ControlRecipe]] = {
    "uml-diayn": uml_diayn,
    "uml-random": uml_random,
    "uml-vic": uml_vic,
    "uml-valor": uml_valor,
    "uml-smm": uml_smm,
    "uml-dads": uml_dads,
    "uml-metra": uml_metra,
    "carml": carml,
    "rl2-diayn": rl2_diayn,
    "oracle-goals": oracle_goals,
    "rl2-oracle": rl2_oracle,
}


def get_control_recipe(name: str) -> ControlRecipe:
    """Return a recipe by name, "default" being uml-diayn; raises `InputError` with the nearest names if there is none."""
    if name == "default":
        return uml_diayn()
    if name not in CONTROL_RECIPES:
        from umeta.recipes.named import RECIPES

        if name in RECIPES:
            raise InputError(
                f"the recipe {name!r} is for images; give images as the source, or a recipe for an environment, such as default"
            )
        near = difflib.get_close_matches(name, CONTROL_RECIPES, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(CONTROL_RECIPES)}"
        raise InputError(f"there is no recipe {name!r} for an environment; {hint}")
    return CONTROL_RECIPES[name]()
