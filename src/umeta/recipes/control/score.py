"""Knows how a run in an environment is scored on rewards that people wrote, beside baselines that had the same episodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from umeta.artifacts.artifact import read_artifact, read_json, write_json
from umeta.benchmarks.goals import TrueTasks, true_tasks
from umeta.control.envs.catalog import make_process
from umeta.control.learners.gradient import GradientProcedure, SkillProcedure
from umeta.control.learners.inner import InnerLoop
from umeta.control.learners.procedure import ControlProcedure, ShippedProcedure
from umeta.control.learners.shipped import load_procedure, save_procedure
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardFn, RewardTask, RewardTasks
from umeta.control.skills.catalog import OBJECTIVES
from umeta.control.skills.discovery import SkillDiscovery, Skills
from umeta.core.errors import InputError
from umeta.core.loop import Pace, Position, Silent, meta_train
from umeta.core.metalearner import Metrics
from umeta.core.progress import Quiet, Reporter
from umeta.core.rng import Rng
from umeta.evaluation.evaluate import Scores, evaluate
from umeta.evaluation.returns import ReturnReport, ReturnRow, curve_of
from umeta.recipes.control.learn import learner_of
from umeta.recipes.control.picture import draw_curves
from umeta.recipes.control.recipe import oracle_goals

N_QUERY = 20
N_TUNE_TASKS = 20
TUNED_LRS = (0.1, 0.3, 1.0, 3.0)
BASELINE_STEPS = 20
ORACLE_STEPS = 160


@dataclass(frozen=True)
class ControlQuestion:
    """What to score on.

    Attributes:
        benchmark: A key of `GOALS`, with or without its version.
        n_tasks: Held-out tasks.
        baselines: Whether to score from scratch, fine-tuning and the oracle too.
        task_seed: Which tasks are drawn; the same for every method.
        oracle_steps: Meta-training steps of the oracle.
    """

    benchmark: str
    n_tasks: int = 40
    baselines: bool = False
    task_seed: int = 0
    oracle_steps: int = ORACLE_STEPS


def measure_returns(n_query: int) -> Callable[[ControlProcedure, Sequence[RewardTask], Rng], NDArray[np.floating]]:
    """Return a measure for `evaluate`: mean return of `n_query` fresh episodes of every task, before adaptation and after each step.

    These episodes do not count as adaptation, and nothing is learned from them.
    """

    def measure(procedure: ControlProcedure, tasks: Sequence[RewardTask], rng: Rng) -> NDArray[np.floating]:
        assert isinstance(tasks, RewardTasks)
        found = []
        for index, stage in enumerate(procedure.stages(tasks, rng.fork("adapt"))):
            episodes = stage.run(n_query, rng.fork("query", index))
            found.append(tasks.rewards(procedure.process, episodes).sum(-1).mean(-1).double().cpu())
        return torch.stack(found).numpy()

    return measure


def returns_after(procedure: ControlProcedure, tasks: RewardTasks, n_steps: int, n_query: int, rng: Rng) -> Float[np.ndarray, " n_task"]:
    """Return the mean return of `n_query` fresh episodes of every task after some steps of adaptation."""
    *_, stage = islice(procedure.stages(tasks, rng.fork("adapt")), n_steps + 1)
    episodes = stage.run(n_query, rng.fork("query"))
    returns: NDArray[np.float64] = tasks.rewards(procedure.process, episodes).sum(-1).mean(-1).double().cpu().numpy()
    return returns


def before_and_after(procedure: ControlProcedure, reward: RewardFn, rng: Rng) -> tuple[int, float, float]:
    """Return how many episodes a reward is learned in, and the mean return of fresh ones before and after; adapts by `fork("adapt")`."""
    tasks = RewardTasks.of([reward])
    before, *_, last = procedure.stages(tasks, rng.fork("adapt"))
    returns = [
        float(tasks.rewards(procedure.process, stage.run(N_QUERY, rng.fork("query", index))).sum(-1).mean())
        for index, stage in enumerate((before, last))
    ]
    return last.n_episode, returns[0], returns[1]


def episodes_of(procedure: ControlProcedure) -> list[int]:
    """Return how many episodes each stage of a procedure has behind it."""
    nothing = RewardTasks.of([lambda observation, action, reached: torch.zeros(reached.shape[:-1])])
    return [stage.n_episode for stage in procedure.stages(nothing, Rng.from_seed(0))]


def tuned(
    make: Callable[[float], ControlProcedure], truth: TrueTasks, rng: Rng, lrs: Sequence[float]
) -> tuple[ControlProcedure, dict[str, float]]:
    """Return the procedure with the rate that has the largest mean return over all stages, on tasks that are not scored later."""
    tasks = truth.tasks.sample_batch(rng.fork("meta_val"), N_TUNE_TASKS)
    reached = {lr: float(measure_returns(N_QUERY)(make(lr), tasks, rng.fork("tune")).mean()) for lr in lrs}
    best = max(reached, key=lambda lr: reached[lr])
    return make(best), {"lr": best}


def score_control(run: Path, question: ControlQuestion, reporter: Reporter | None = None) -> ReturnReport:
    """Score a run's procedure on held-out rewards, and keep the result and a picture in the run folder.

    Raises:
        InputError: Unknown benchmark, or one of another environment.
        ArtifactError: The run is unfinished or damaged.
    """
    reporter = reporter or Quiet()
    procedure = load_procedure(run)
    manifest = read_json(run / "manifest.json")
    truth = true_tasks(question.benchmark)
    if truth.process != procedure.process.name:
        raise InputError(f"{truth.name} are tasks in {truth.process}, but {run} learned in {procedure.process.name}")
    rng = Rng.from_seed(question.task_seed).fork(truth.name)
    seen = manifest["rewards_seen"]["meta_train"] or ""
    methods: dict[str, tuple[ControlProcedure, str, dict[str, float]]] = {manifest["recipe"]: (procedure, seen, {})}
    if question.baselines:
        methods |= _baselines(run, truth, question, rng, reporter)
    scores: dict[str, Scores] = {}
    for name, (method, _, _) in methods.items():
        reporter.stage(f"{name} on {truth.name}")
        scores[name] = evaluate(
            method, truth.tasks, measure_returns(N_QUERY), n_tasks=question.n_tasks, rng=rng, on_progress=reporter.update
        )
    oracle = scores.get("oracle")
    rows, n_steps = [], len(episodes_of(procedure)) - 1
    for name, (method, rewards_seen, chosen) in methods.items():
        curve = curve_of(scores[name], episodes_of(method), rng.fork(name), oracle)
        reporter.stage(f"{name} on all goals")
        everywhere = returns_after(method, truth.spread, n_steps, N_QUERY, rng.fork("spread"))
        worst = int(everywhere.argmin())
        rows.append(
            ReturnRow(
                name,
                curve,
                question.n_tasks,
                rewards_seen,
                chosen,
                float(everywhere[worst]),
                tuple(truth.grid[worst].tolist()),
                tuple(scores[name].values[-1].tolist()),
                tuple(everywhere.tolist()),
            )
        )
    facts: dict[str, Any] = {
        "skills": manifest["skills"],
        "learn_seconds": manifest["elapsed_s"],
        "steps": manifest["steps"],
        "query_episodes": N_QUERY,
        "horizon": procedure.process.horizon,
        "machine": manifest["machine"],
    }
    report = ReturnReport(
        truth.name, procedure.process.name, manifest["seed"], question.task_seed, manifest["rewards_seen"], facts, tuple(rows)
    )
    folder = run / "evaluation"
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{truth.name}.json", report.to_json())
    draw_curves(report, truth, folder / f"{truth.name}.png")
    return report


def read_return_reports(run: Path) -> list[ReturnReport]:
    """Return the kept results of a run; an empty list before it was evaluated."""
    return [ReturnReport.from_json(read_json(path)) for path in sorted((run / "evaluation").glob("*.json"))]


def read_skills(run: Path) -> Skills | None:
    """Return the skills of a run; None if it has none with a trained policy."""
    if not (run / "skills").is_dir():
        return None
    config = read_json(run / "config.json")["recipe"]
    tensors, info = read_artifact(run / "skills", "skills")
    objective = OBJECTIVES[info["objective"]](**config["settings"])
    return SkillDiscovery(make_process(info["process"]), objective).restore(tensors) if objective.trained else None


def _baselines(
    run: Path, truth: TrueTasks, question: ControlQuestion, rng: Rng, reporter: Reporter
) -> dict[str, tuple[ControlProcedure, str, dict[str, float]]]:
    process = truth.make_process()
    inner = InnerLoop(n_steps=BASELINE_STEPS)
    reporter.stage("rates of the baselines")
    scratch, lr = tuned(
        lambda lr: GradientProcedure.from_scratch(process, replace(inner, lr=lr), rng.fork("scratch")), truth, rng, TUNED_LRS
    )
    found: dict[str, tuple[ControlProcedure, str, dict[str, float]]] = {"from scratch": (scratch, "", lr)}
    skills = read_skills(run)
    if skills is not None:
        few = replace(inner, n_steps=5)
        tried = skills.objective.n_condition
        fine, lr = tuned(lambda lr: SkillProcedure(skills, replace(few, lr=lr), tried), truth, rng, (0.0, 0.01, 0.03, 0.1))
        found["best skill, then gradients"] = (fine, "", lr)
    oracle = run / "evaluation" / f"oracle-{truth.name}"
    if not (oracle / "procedure").is_dir():
        save_procedure(oracle / "procedure", _train_oracle(process, truth, question, rng, reporter))
    found["oracle"] = (load_procedure(oracle), truth.name, {})
    return found


def _train_oracle(
    process: ControlledProcess, truth: TrueTasks, question: ControlQuestion, rng: Rng, reporter: Reporter
) -> ShippedProcedure:
    recipe = oracle_goals()
    reporter.stage("oracle: practice on the true rewards")
    return meta_train(
        learner_of(recipe, process),
        truth.tasks,
        meta_batch_size=recipe.meta_batch_size,
        pace=Pace(n_steps=question.oracle_steps),
        rng=rng.fork("oracle"),
        observer=_Shown(reporter),
    )


class _Shown(Silent):
    """Shows the progress of a training that is not saved."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def on_step(self, position: Position, metrics: Metrics) -> None:
        """Show the return after adaptation."""
        self._reporter.update(position.progress, f"step {position.step}  return_after {metrics['return_after']:.2f}")
