"""Knows how a run in an environment goes from skills to a learning procedure."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from umeta.artifacts.artifact import read_artifact, read_json, write_artifact
from umeta.artifacts.run import RunFolder, defaults_of
from umeta.benchmarks.goals import GOALS, TrueTasks
from umeta.control.coverage import coverage
from umeta.control.envs.catalog import make_process
from umeta.control.learners.carml import Carml
from umeta.control.learners.maml import Maml
from umeta.control.learners.procedure import ShippedProcedure
from umeta.control.learners.rl2 import Rl2
from umeta.control.learners.shipped import save_procedure
from umeta.control.picture import draw_skills
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardDistribution, RewardTask
from umeta.control.skills.catalog import OBJECTIVES
from umeta.control.skills.discovery import SkillDiscovery, Skills
from umeta.core.errors import InputError
from umeta.core.loop import meta_train, train
from umeta.core.metalearner import MetaLearner
from umeta.core.progress import Quiet, Reporter
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.recipes.control.recipe import ControlRecipe, get_control_recipe
from umeta.recipes.pacing import Stages
from umeta.recipes.route import PREFIX

DEFAULT_S = 1200.0
CLOSING_S = 3.0
MEASURED_EPISODES = 20
NEAR_CHANCE, NEAR_NOTHING = 1 / 15, 0.1


@dataclass(frozen=True)
class ControlRequest:
    """What a person asked `learn` for; with the recipe it is the run's `config.json`.

    Attributes:
        source: `env:` and the name of a process.
        recipe: Every setting.
        budget_s: Seconds for everything, or None.
        steps: Steps of every trained stage, or None; exactly one of the two is given.
        seed: Of all randomness.
    """

    source: str
    recipe: ControlRecipe
    budget_s: float | None
    steps: int | None
    seed: int

    @classmethod
    def of(
        cls, source: str, recipe: str = "default", *, budget_s: float | None = None, steps: int | None = None, seed: int = 0
    ) -> "ControlRequest":
        """Return a complete request; without a budget or steps, 20 minutes."""
        if budget_s is not None and steps is not None:
            raise InputError("give --budget or --steps, not both")
        if steps is not None and steps < 1:
            raise InputError("steps must be at least 1")
        if budget_s is None and steps is None:
            budget_s = DEFAULT_S
        return cls(source, get_control_recipe(recipe), budget_s, steps, seed)

    @property
    def process(self) -> ControlledProcess:
        """The environment, without a reward; raises `InputError` if it cannot be used."""
        return make_process(self.source.removeprefix(PREFIX))


def true_tasks_of(process: ControlledProcess) -> TrueTasks:
    """Return the tasks that people wrote for a process, for an oracle; raises `InputError` if there are none."""
    for make in GOALS.values():
        if make().process == process.name:
            return make()
    known = sorted({make().process for make in GOALS.values()})
    raise InputError(f"there is no benchmark for {process.name}, so no oracle; there are benchmarks for {', '.join(known)}")


def discovery_of(recipe: ControlRecipe, process: ControlledProcess) -> SkillDiscovery:
    """Return how a recipe finds skills in a process."""
    assert recipe.objective is not None
    return SkillDiscovery(
        process,
        OBJECTIVES[recipe.objective](**recipe.settings),
        recipe.ppo,
        recipe.n_skill,
        recipe.n_skill_episode,
        recipe.skill_lr,
        recipe.model_lr,
    )


def learner_of(recipe: ControlRecipe, process: ControlledProcess) -> MetaLearner[RewardTask, ModuleState, ShippedProcedure]:
    """Return a recipe's meta-learner for a process."""
    if recipe.learner == "rl2":
        return Rl2(process, lr=recipe.outer_lr, **recipe.memory)
    return Maml(
        process,
        recipe.inner,
        recipe.n_adapt_steps,
        recipe.n_adapt_episodes,
        recipe.outer_lr,
        recipe.n_outer_steps,
        learn_rates=recipe.learn_rates,
        outer=recipe.outer,
    )


def why_not_told_apart(measured: Mapping[str, float | None]) -> str | None:
    """Return the sign that skills are hardly different, or None: guesses near chance, or where nothing is guessed little information."""
    accuracy, chance, information = (measured.get(name) for name in ("accuracy", "chance", "information"))
    if accuracy is not None and chance is not None:
        near = accuracy - chance < NEAR_CHANCE * (1 - chance)
        return f"they are guessed right in {accuracy:.1%} of cases, by chance {chance:.1%}" if near else None
    return f"{information:.2g} nats" if information is not None and information < NEAR_NOTHING else None


class ControlLearning:
    """One run from an environment to a learning procedure; every stage picks up where a stopped run left it."""

    def __init__(
        self, request: ControlRequest, run: RunFolder, reporter: Reporter, stop: Callable[[], bool], process: ControlledProcess
    ) -> None:
        self.request, self.recipe, self.run, self.reporter = request, request.recipe, run, reporter
        self.process, self.rng = process, Rng.from_seed(request.seed)
        self.stages = Stages(request, run, reporter, stop, CLOSING_S)

    def skills(self) -> Skills:
        """Find skills, or read those that were found."""
        folder, rng = self.run.path / "skills", self.rng.fork("skills")
        discovery = discovery_of(self.recipe, self.process)
        if folder.is_dir():
            return discovery.restore(read_artifact(folder, "skills")[0])
        state = discovery.init(rng.fork("init"))
        if discovery.objective.trained:
            pace = self.stages.pace("skills", self.recipe.skills_share)
            start, observer = self.stages.observed("skills", pace, "information", state)
            state = train(state, lambda now, i: discovery.step(now, rng.fork("step", i)), pace, start=start, observer=observer)
            observer.close()
        found = discovery.export(state)
        write_artifact(folder, "skills", found.tensors(), {"objective": self.recipe.objective, "process": self.process.name})
        return found

    def measured(self, skills: Skills) -> dict[str, float | None]:
        """Return how far skills can be told apart and how much of the state space they reach; says so where it is little."""
        rng = self.rng.fork("measure")
        skill = skills.objective.draw(skills.model, self.recipe.n_skill, rng.fork("skill"))
        episodes = skills.run(skill, MEASURED_EPISODES, rng.fork("episodes"))
        found: dict[str, float | None] = dict(skills.objective.measure(skills.model, self.process, episodes, skill))
        found["coverage"] = coverage(self.process, episodes)
        told = ", ".join(f"{name} {value:.3g}" for name, value in found.items() if value is not None)
        self.reporter.note(f"skills: {told}")
        doubt = why_not_told_apart(found) if skills.objective.trained else None
        if doubt is not None:
            self.reporter.note(f"skills cannot be told apart: {doubt}; the rewards made of them mean little, give more time")
        return found

    def practice(self, tasks: RewardDistribution) -> ShippedProcedure:
        """Practice on the rewards."""
        learner, rng = learner_of(self.recipe, self.process), self.rng.fork("meta")
        state = learner.init(rng.fork("init"))
        pace = self.stages.pace("meta_train", None)
        start, observer = self.stages.observed("meta_train", pace, "return_after", state)
        batch = self.recipe.meta_batch_size
        procedure = meta_train(learner, tasks, meta_batch_size=batch, pace=pace, rng=rng, state=state, start=start, observer=observer)
        observer.close()
        return procedure

    def alternate(self) -> tuple[ShippedProcedure, dict[str, float | None]]:
        """Propose tasks from the meta-learner's own trajectories and practice on them, in turn; returns how far tasks are apart too."""
        learner, rng = learner_of(self.recipe, self.process), self.rng.fork("meta")
        assert isinstance(learner, Maml)
        alternation = Carml(learner, meta_batch_size=self.recipe.meta_batch_size, **self.recipe.settings)
        state = alternation.init(rng.fork("init"))
        pace = self.stages.pace("meta_train", None)
        start, observer = self.stages.observed("meta_train", pace, "information", state)
        state = train(state, lambda now, i: alternation.step(now, rng.fork("step", i)), pace, start=start, observer=observer)
        observer.close()
        tasks = alternation.tasks(state).sample_batch(rng.fork("measure"), self.recipe.n_skill)
        procedure = alternation.export(state)
        *_, last = procedure.stages(tasks, rng.fork("measure"))
        reached = coverage(self.process, last.run(MEASURED_EPISODES, rng.fork("measure")))
        mixture = state.modules["mixture"].state_dict()
        write_artifact(self.run.path / "mixture", "mixture", mixture, {"process": self.process.name})
        return procedure, {"information": float(mixture["information"]), "coverage": reached}


def learn_control(
    request: ControlRequest,
    out: Path,
    *,
    process: ControlledProcess | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    stop: Callable[[], bool] | None = None,
    began: float | None = None,
) -> dict[str, Any]:
    """Find skills, practice on their rewards, and save the learning procedure.

    Args:
        request: What to do.
        out: The run folder.
        process: The request's own, where others run its episodes; None makes one here.
        resume: Go on with a stopped run; a finished one is left as it is.
        overwrite: Replace a run that is there.
        reporter: Where progress goes.
        stop: Asked after every step whether to end early with a checkpoint.
        began: When the command began, on `time.monotonic`'s clock; None is now.

    Returns:
        The manifest.

    Raises:
        UmetaError: Of the kind that fits; see `umeta.core.errors`.
    """
    reporter = reporter or Quiet()
    oracle = request.recipe.objective is None
    truth = true_tasks_of(request.process) if oracle else None
    run = RunFolder.start(out, asdict(request), resume=resume, overwrite=overwrite, usual=defaults_of(request.recipe))
    run.count(time.monotonic() - began if began is not None else 0.0)
    if run.finished:
        run.release()
        reporter.note(f"{out} is finished")
        return read_json(out / "manifest.json")
    with run.held():
        own = request.process
        work = ControlLearning(request, run, reporter, stop or (lambda: False), process or own)
        measured: dict[str, float | None] = {}
        files = {"procedure": out / "procedure" / "tensors.safetensors"}
        if request.recipe.objective == "carml":
            procedure, measured = work.alternate()
        elif truth is None:
            skills = work.skills()
            measured = work.measured(skills)
            draw_skills(replace(skills, process=own), request.recipe.n_skill, work.rng.fork("sheet"), out / "skills.png")
            files["skills"] = out / "skills" / "tensors.safetensors"
            procedure = work.practice(skills.tasks)
        else:
            procedure = work.practice(truth.tasks)
        save_procedure(out / "procedure", procedure)
        run.finish(
            {
                "status": "complete",
                "recipe": request.recipe.name,
                "source": request.source,
                "seed": request.seed,
                "steps": run.steps(),
                "skills": measured,
                "learner": request.recipe.learner,
                "outer": request.recipe.outer if request.recipe.learner == "maml" else None,
                "papers": [*request.recipe.papers, *(["schulman2015trpo"] if request.recipe.outer == "trpo" else [])],
                "rewards_seen": {"meta_train": truth.name if truth else 0, "meta_val": 0},
                "threads": torch.get_num_threads(),
            },
            files,
        )
        return read_json(out / "manifest.json")
