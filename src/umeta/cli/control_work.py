"""Knows what the verbs print where the source is an environment."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from umeta.artifacts.artifact import check_place
from umeta.cli.say import say, say_json
from umeta.cli.using import Adapt, Rollout
from umeta.cli.verbs import Compare, Evaluate, Inspect, Learn
from umeta.cli.work import check_engine, listening, reporting, short_names
from umeta.control.envs.catalog import make_process
from umeta.control.learners.gradient import GradientProcedure
from umeta.control.learners.shipped import AGENT, load_agent, load_procedure, save_agent
from umeta.control.picture import film, write_video
from umeta.control.process import Box, ControlledProcess
from umeta.control.user_reward import load_reward
from umeta.core.errors import ArtifactError, InputError, InterruptedRunError
from umeta.core.progress import Reporter
from umeta.core.rng import Rng
from umeta.evaluation.comparison import compared_returns, returns_table
from umeta.recipes.budget import seconds
from umeta.recipes.control.learn import ControlRequest, learn_control
from umeta.recipes.control.score import ControlQuestion, before_and_after, read_return_reports, score_control
from umeta.recipes.route import PREFIX, is_control_run

OF_IMAGES = (
    *("protocol", "embedding", "encoder_labels", "partition", "margin", "labeled_share", "clusters", "partitions", "augment", "splits"),
    *("image_size", "norm", "net", "on", "start", "lr", "width", "normalization"),
)
DEFAULT_TASKS = 40


def request_of(verb: Learn) -> ControlRequest:
    """Return the request behind a `learn` command; raises `InputError` for options that only images have."""
    refuse(verb, OF_IMAGES, "images")
    check_engine(verb)
    budget_s = None if verb.budget is None else seconds(verb.budget)
    request = ControlRequest.of(verb.source, verb.recipe, budget_s=budget_s, steps=verb.steps, seed=verb.seed)
    recipe = request.recipe
    if verb.first_order:
        recipe = replace(recipe, inner=replace(recipe.inner, first_order=True))
    if verb.outer is not None:
        recipe = replace(recipe, outer=verb.outer)
    return replace(request, recipe=recipe)


def refuse(verb: object, names: tuple[str, ...], kind: str) -> None:
    """Raise `InputError` for the first of these options that was given."""
    given = next((name for name in names if getattr(verb, name) not in (None, (), False)), None)
    if given is not None:
        raise InputError(f"--{given.replace('_', '-')} is for {kind}, which this command is not about; leave it out")


def run_learn(verb: Learn, began: float) -> int:
    """Learn in an environment, or with --dry-run say what would be done."""
    request = request_of(verb)
    process = request.process
    if verb.dry_run:
        if verb.json:
            say_json({"request": asdict(request), "process": description(process)})
        else:
            length = f"{request.budget_s:.0f} s" if request.budget_s else f"{request.steps} steps a stage"
            say(f"{request.recipe.name} in {process.name}; {length}, seed {request.seed}; nothing was written")
        return 0
    with listening() as stop, reporting() as reporter:
        try:
            manifest = learned(verb, request, reporter, stop, began)
        except InterruptedRunError as error:
            raise InterruptedRunError(f"{error}; what is done is saved, go on with the same command and --resume") from error
    if verb.json:
        say_json(manifest)
    else:
        seen = manifest["rewards_seen"]["meta_train"] or 0
        say(f"learned {manifest['recipe']} in {process.name} in {manifest['elapsed_s']:.0f} s, true rewards seen: {seen}")
        picture = f", a picture of the skills in {verb.out / 'skills.png'}" if (verb.out / "skills.png").is_file() else ""
        say(f"the procedure is in {verb.out}{picture}")
    return 0


def learned(verb: Learn, request: ControlRequest, reporter: Reporter, stop: Callable[[], bool], began: float) -> dict[str, Any]:
    """Learn by the engine that was asked for; returns the manifest."""
    learning: Callable[..., dict[str, Any]] = learn_control
    if verb.engine == "ray":
        from umeta.recipes.control.on_ray import learn_control_on_ray

        learning = partial(learn_control_on_ray, n_workers=verb.workers, address=verb.address)
    return learning(request, verb.out, resume=verb.resume, overwrite=verb.overwrite, reporter=reporter, stop=stop, began=began)


def description(process: ControlledProcess) -> dict[str, Any]:
    """Return what a process is, JSON-ready."""
    action = process.action
    return {
        "name": process.name,
        "observation": {"low": list(process.observation.low), "high": list(process.observation.high)},
        "action": {"low": list(action.low), "high": list(action.high)} if isinstance(action, Box) else {"choices": action.n},
        "horizon": process.horizon,
        "features": process.n_feature,
    }


def run_inspect(verb: Inspect) -> int:
    """Say whether an environment can be used as a process without a reward, and what it is."""
    process = make_process(verb.source.removeprefix(PREFIX))
    content = description(process)
    if verb.json:
        say_json({"usable": True, **content})
        return 0
    action = process.action
    moves = f"{action.n} numbers, {_bounds(action)}" if isinstance(action, Box) else f"one of {action.n} choices"
    say(f"{process.name}: can be used as a process without a reward")
    say(f"  observation: {process.observation.n} numbers, {_bounds(process.observation)}")
    say(f"  action: {moves}")
    say(f"  an episode has {process.horizon} steps at most; skills are told apart by {process.n_feature} features")
    return 0


def _bounds(box: Box) -> str:
    return f"{min(box.low):g} to {max(box.high):g}"


def run_evaluate(verb: Evaluate) -> int:
    """Score and print."""
    refuse(verb, ("protocol", "ways", "shots", "queries", "head", "norm", "allow_overlap", "csv"), "images")
    n_tasks = DEFAULT_TASKS if verb.tasks is None else verb.tasks
    if n_tasks < 1:
        raise InputError("--tasks must be at least 1")
    question = ControlQuestion(verb.on, n_tasks, baselines=verb.baselines, task_seed=verb.task_seed)
    with reporting() as reporter:
        report = score_control(verb.run_folder, question, reporter)
    if verb.json:
        say_json(report.to_json())
        return 0
    say(f"{report.benchmark} in {report.process}, mean return ± 95 % interval over tasks, after episodes of adaptation")
    say(report.table())
    first = report.rows[0]
    for row in report.rows[1:]:
        needed = row.episodes_for(first.best.mean)
        told = f"after {needed}" if needed is not None else f"not within {row.curve[-1].episodes}"
        say(f"  {row.method} is as good as the best of {first.method} ({first.best.mean:.1f} after {first.best.episodes} episodes) {told}")
    say(f"curves and maps: {verb.run_folder / 'evaluation' / f'{report.benchmark}.png'}")
    return 0


def run_adapt(verb: Adapt) -> int:
    """Adapt to a reward in a user's file, and write the agent."""
    refuse(verb, ("support", "head"), "images")
    if verb.reward is None:
        raise InputError(f"{verb.run_folder} learned in an environment: give --reward FILE.py:NAME, a function that a file has")
    procedure = load_procedure(verb.run_folder)
    if verb.episodes is not None:
        if verb.episodes < 1:
            raise InputError("--episodes must be at least 1")
        procedure = procedure.with_episodes(verb.episodes)
    check_place(verb.out, AGENT, overwrite=verb.overwrite)
    reward, rng = load_reward(verb.reward), Rng.from_seed(0)
    episodes, before, after = before_and_after(procedure, reward, rng)
    save_agent(verb.out, procedure.adapt(reward, rng.fork("adapt")))
    content = {"agent": str(verb.out), "episodes": episodes, "return_before": before, "return_after": after}
    if verb.json:
        say_json(content)
    else:
        if isinstance(procedure, GradientProcedure) and verb.episodes not in (None, episodes):
            say(f"episodes come in steps of {procedure.inner.n_episode}: --episodes {verb.episodes} became {episodes}")
        say(f"adapted in {episodes} episodes: mean return {before:.3g} before, {after:.3g} after")
        say(f"the agent is in {verb.out}; try: umeta rollout {verb.out} --video out.gif")
    return 0


def run_rollout(verb: Rollout) -> int:
    """Run an episode of an agent and write it as a video."""
    agent = load_agent(verb.agent)
    pictures, path = film(agent, Rng.from_seed(verb.seed))
    write_video(pictures, verb.video)
    content = {"video": str(verb.video), "steps": len(path) - 1, "last_observation": path[-1].tolist()}
    if verb.json:
        say_json(content)
    else:
        say(f"{len(path) - 1} steps in {agent.process.name}: {verb.video}")
    return 0


def run_compare(verb: Compare) -> int:
    """Print returns side by side."""
    refuse(verb, ("protocol",), "images")
    other = next((run for run in verb.runs if not is_control_run(run)), None)
    if other is not None:
        raise InputError(f"{other} did not learn in an environment; compare runs of images with runs of images only")
    chosen = []
    for name, run in zip(short_names(verb.runs), verb.runs, strict=True):
        reports = read_return_reports(run)
        if not reports:
            raise ArtifactError(f"{run} has no results yet; run `umeta evaluate {run} --on BENCHMARK` first")
        chosen += [(name, report) for report in reports if verb.on is None or report.benchmark in (verb.on, f"{verb.on}-v0")]
    if not chosen:
        raise InputError(f"no results fit --on {verb.on}")
    kinds = sorted({report.benchmark for _, report in chosen})
    if len(kinds) > 1:
        raise InputError(f"the runs have results of several kinds ({', '.join(kinds)}); choose one with --on")
    rows = compared_returns(chosen)
    if verb.json:
        say_json({"benchmark": kinds[0], "rows": [asdict(row) for row in rows]})
    else:
        say(f"{kinds[0]}; mean return after the last step, and difference to the first row on the same tasks, ± 95 % intervals")
        say(returns_table(rows))
    return 0
