"""Knows what `umeta theory` prints: a table a person can read, one JSON object, and the names of the figures."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from umeta.cli.say import say, say_json
from umeta.cli.theory import Bandit, Grid, GridOptions, Memory, Output, Process, SqrtLaw, Trajectories, Visits
from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.evaluation.report import align
from umeta.theory.claim import study_bandit, study_looking, study_memory, study_square_root_law, study_trajectories
from umeta.theory.explorer import random_walk, uniform_goals
from umeta.theory.figure import (
    draw_bandit,
    draw_marginals,
    draw_memory,
    draw_regrets,
    draw_square_root_law,
    draw_trajectories,
    draw_visits,
)
from umeta.theory.minimax import minimax_explorer
from umeta.theory.process import TabularProcess, listed
from umeta.theory.study import Comparison, compare_explorers
from umeta.theory.visits import measure_visits, read_visits, why_unreadable
from umeta.theory.world import from_toy_text, gridworld

N_POSTERIOR_TRIALS = 10_000


def run_grid(verb: Grid) -> int:
    """Compare explorers on a grid for each slip."""
    if not verb.slip or len(set(verb.slip)) < len(verb.slip):
        raise InputError("give at least one --slip, each once")
    processes = [make_grid(verb, slip) for slip in verb.slip]
    folder = _folder(verb)
    lost = processes[0].unreachable()
    goals = np.setdiff1d(np.arange(processes[0].n_states), lost).tolist()
    rng = Rng.from_seed(verb.seed)
    compared = [(slip, compare_explorers(one, rng, goals)) for slip, one in zip(verb.slip, processes, strict=True)]
    figures = [
        draw_regrets(compared, folder / "grid-regret.png"),
        draw_marginals([(f"slip {slip:g}", one) for slip, one in compared], folder / "grid-marginals.png"),
    ]
    if verb.json:
        results = [{"slip": slip} | _comparison_json(one) for slip, one in compared]
        content = {"size": verb.size, "horizon": verb.horizon, "walls": list(verb.walls), "seed": verb.seed, "never_reached": lost.tolist()}
        say_json({"claim": "grid"} | content | {"results": results, "figures": list(map(str, figures))})
        return 0
    say(f"{verb.size} grid, {len(goals)} goals, horizon {verb.horizon}: any cell may be the goal, and counts where the episode ends")
    if lost.size:
        say(f"cut off by walls, infinite regret for every explorer, left out: {listed(map(processes[0].name, lost))}")
    _say_comparisons([(f"slip {slip:g}", one) for slip, one in compared])
    _say_figures(figures)
    return 0


def run_process(verb: Process) -> int:
    """Compare explorers on arrays or on a toy-text environment."""
    process = read_process(verb.source, verb.horizon)
    folder = _folder(verb)
    compared = compare_explorers(process, Rng.from_seed(verb.seed), None if verb.goals is None else list(verb.goals))
    n_goals, never = len(compared.minimax.goals), np.flatnonzero(~process.reach[-1]).tolist()
    figures = [draw_marginals([(f"horizon {verb.horizon}", compared)], folder / "process-marginals.png")]
    if verb.json:
        content = {"source": verb.source, "horizon": verb.horizon, "seed": verb.seed, "never_reached": never}
        say_json({"claim": "process"} | content | {"results": [_comparison_json(compared)], "figures": list(map(str, figures))})
        return 0
    say(f"{verb.source}: {process.n_states} states, {process.n_actions} actions, {n_goals} goals, horizon {verb.horizon}")
    if never:
        say(f"no episode ends in {len(never)} states, infinite regret for every explorer, left out: {listed(map(process.name, never))}")
    _say_comparisons([(f"horizon {verb.horizon}", compared)])
    _say_figures(figures)
    return 0


def run_sqrt_law(verb: SqrtLaw) -> int:
    """Show the square-root law."""
    study = study_square_root_law(verb.goals, verb.concentration, Rng.from_seed(verb.seed))
    figures = [draw_square_root_law(study, _folder(verb) / "sqrt-law.png")]
    if verb.json:
        content = {
            "prior": study.prior.tolist(),
            "regret": study.regrets,
            "law": study.law,
            "mean_law_by_concentration": {f"{key:g}": value for key, value in study.by_concentration.items()},
        }
        say_json({"claim": "sqrt-law", "n_goals": verb.goals, "seed": verb.seed} | content | {"figures": list(map(str, figures))})
        return 0
    say(f"{verb.goals} goals, each reached at will, prior from Dirichlet({verb.concentration:g}): regret Σ p/ρ, in episodes")
    names = {
        "square root": "ρ ∝ √p, the law",
        "bayes": "ρ of the convex program, which is not told the law",
        "prior": "ρ = p, matching the prior",
        "uniform": "ρ uniform",
    }
    say(align([["explorer", "regret"], *([told, f"{study.regrets[name]:.3f}"] for name, told in names.items())]))
    say(f"closed form (Σ √p)² = {study.law:.3f}; matching the prior is no better than ignoring it: both cost n = {verb.goals}")
    _say_figures(figures)
    return 0


def run_memory(verb: Memory) -> int:
    """Show what memory gains."""
    if not verb.slip:
        raise InputError("give at least one --slip")
    folder, rng = _folder(verb), Rng.from_seed(verb.seed)
    studies = [(slip, study_memory(make_grid(verb, slip), verb.trials, rng)) for slip in verb.slip]
    figures = [draw_memory(studies[0][1], folder / "memory.png")]
    if verb.json:
        results = [
            {
                "slip": slip,
                "n_goals": one.n_goals,
                "without_memory": {"worst": one.without[0], "measured": one.without[1], "ci95": one.without[2]},
                "with_memory": {"no_noise": one.with_[0], "measured_mean": one.with_[1], "measured_worst": one.with_[2]},
                "missed_without": list(one.missed_without),
                "missed_with_no_noise": list(one.missed_with),
            }
            for slip, one in studies
        ]
        say_json({"claim": "memory", "trials": verb.trials, "results": results, "figures": list(map(str, figures))})
        return 0
    say(f"{verb.size} grid, {studies[0][1].n_goals} goals, horizon {verb.horizon}: expected episodes to the goal by uniform goals")
    head = ["slip", "no memory, worst goal", "as it was run", "no repeats, by formula", "as it was run", "its worst goal"]
    rows = [
        [
            f"{slip:g}",
            f"{one.without[0]:.2f}",
            f"{one.without[1]:.2f} ±{one.without[2]:.2f}",
            f"{one.with_[0]:.2f}" if slip == 0 else "-",
            f"{one.with_[1]:.2f}",
            f"{one.with_[2]:.2f}",
        ]
        for slip, one in studies
    ]
    say(align([head, *rows]))
    n = studies[0][1].n_goals
    say(f"without noise, n = {n} episodes without memory and (n + 1) / 2 = {(n + 1) / 2:g} with it")
    _say_figures(figures)
    return 0


def run_trajectories(verb: Trajectories) -> int:
    """Show what readiness for any trajectory costs."""
    rows = study_trajectories(verb.branching, verb.depth, verb.slip, Rng.from_seed(verb.seed))
    figures = [draw_trajectories(rows, verb.slip, _folder(verb) / "trajectories.png")]
    if verb.json:
        names = ("horizon", "n_trajectories", "value", "by_program", "noisy_value", "bound", "needle", "random", "grid_trajectories")
        results = [{name: getattr(row, name) for name in names} for row in rows]
        say_json(
            {
                "claim": "trajectories",
                "branching": verb.branching,
                "slip": verb.slip,
                "results": results,
                "figures": list(map(str, figures)),
            }
        )
        return 0
    say(f"trees with {verb.branching} choices a step: minimax hitting time of a trajectory, and regret over rewards in [0, 1]")
    head = ["horizon", "trajectories", "minimax", "by LP", f"slip {verb.slip:g}", "one pays", "bound N-1", "random rewards", "5x5 grid"]
    table = [
        [
            str(row.horizon),
            _number(row.n_trajectories),
            _number(row.value),
            _number(row.by_program),
            _number(row.noisy_value),
            _number(row.needle),
            _number(row.bound),
            _number(row.random),
            _number(row.grid_trajectories),
        ]
        for row in rows
    ]
    say(align([head, *table]))
    say("one pays, random rewards: regret of the uniform explorer; 5x5 grid: its trajectories, beside at most 25 goals")
    _say_figures(figures)
    return 0


def run_bandit(verb: Bandit) -> int:
    """Show the smallest process in which the optima part, and where looking pays."""
    cases = study_bandit(verb.reliability)
    look, sampled = study_looking(verb.arms, N_POSTERIOR_TRIALS, Rng.from_seed(verb.seed))
    figures = [draw_bandit(cases, _folder(verb) / "bandit.png")]
    if verb.json:
        results = [
            {"name": case.name, "reliability": case.reliability, "worst_hitting_time": case.worst, "redundancy": case.redundancy}
            | {"information": case.information}
            for case in cases
        ]
        looking = {
            "arms": verb.arms,
            "memoryless": look.memoryless,
            "posterior_sampling": look.sampling,
            "measured": sampled,
            "optimal": look.optimal,
        }
        say_json({"claim": "bandit", "results": results, "looking": looking, "figures": list(map(str, figures))})
        return 0
    say("worst-case hitting time in episodes, and in parentheses max KL(ρ ‖ q) in nats; every policy is listed, so all is exact")
    names = list(cases[0].worst)
    say(align([["bandit", *names], *([case.name, *(f"{case.worst[n]:.2f} ({case.redundancy[n]:.3f})" for n in names)] for case in cases)]))
    say("each optimum is best by its own regret; by the first, neither uniform goals nor mutual information (MI) always beats the other")
    say("")
    say(f"{verb.arms} arms of which one pays, and one more arm that never pays but shows which one does: expected episodes")
    rows = [
        ["uniform, no memory", f"{look.memoryless:.2f}"],
        ["posterior sampling, which never looks", f"{look.sampling:.2f} (as it was run: {sampled:.2f})"],
        ["look, then go", f"{look.optimal:.2f}"],
    ]
    say("\n".join(f"{name:<40}{value}" for name, value in rows))
    _say_figures(figures)
    return 0


def run_visits(verb: Visits) -> int:
    """Put visited states beside the optimum."""
    process = make_grid(verb, verb.slip)
    ends = read_visits(verb.file, process, _pair(verb.size, "x", "--size"), verb.bounds)
    minimax = minimax_explorer(process)
    found = measure_visits(process, ends, minimax.explorer.marginal)
    others = {one.name: one.marginal for one in (minimax.explorer, uniform_goals(process), random_walk(process))}
    figures = [draw_visits(process, {"visited": found.marginal} | others, _folder(verb) / "visits.png")]
    best = minimax.value
    if verb.json:
        content = {
            "n_episodes": found.n_episodes,
            "coverage": found.coverage,
            "kl_uniform": found.kl_uniform,
            "kl_optimum": found.kl_optimum,
            "worst_hitting_time": found.worst,
            "worst_at_least": found.at_least,
            "minimax": best,
            "unvisited": found.unvisited.tolist(),
        }
        say_json({"claim": "visits"} | content | {"figures": list(map(str, figures))})
        return 0
    say(f"{verb.file}: {found.n_episodes} episodes on a {verb.size} grid, horizon {verb.horizon}, slip {verb.slip:g}")
    worst = f"infinite ({found.at_least:.0f} or more, with 95 % confidence)" if math.isinf(found.worst) else f"{found.worst:.1f}"
    lines = [
        ("goals visited", f"{100 * found.coverage:.0f} % of {len(minimax.goals)}"),
        ("worst hitting time, in episodes", f"{worst}; the least possible is {best:.1f}"),
        ("KL from uniform, in nats", f"{found.kl_uniform:.3f}"),
        ("KL from the minimax explorer, in nats", f"{found.kl_optimum:.3f}"),
    ]
    say("\n".join(f"{name:<40}{value}" for name, value in lines))
    if found.unvisited.size:
        say(f"never visited: {listed(map(process.name, found.unvisited))}")
    _say_figures(figures)
    return 0


def make_grid(options: GridOptions, slip: float) -> TabularProcess:
    """Return the grid that options describe."""
    height, width = _pair(options.size, "x", "--size")
    walls = [_pair(wall, ",", "--walls") for wall in options.walls]
    return gridworld(height, width, horizon=options.horizon, slip=slip, walls=walls, start=_pair(options.start, ",", "--start"))


def read_process(source: str, horizon: int) -> TabularProcess:
    """Return the process of an `.npz` file, or of a toy-text environment's id."""
    path = Path(source)
    if path.suffix != ".npz":
        if path.exists():
            raise InputError(f"{source} is no .npz file; give one with `transitions` and `start`, or an id such as FrozenLake-v1")
        return from_toy_text(source, horizon)
    if not path.is_file():
        raise InputError(f"{source} does not exist; give an .npz file with `transitions` and `start`")
    try:
        content = np.load(path, allow_pickle=False)
        archive = content if isinstance(content, np.lib.npyio.NpzFile) else None
        with archive or nullcontext():
            arrays = {name: archive[name] for name in ("transitions", "start") if name in archive} if archive else {}
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise InputError(f"{source} cannot be read as arrays of numbers: {why_unreadable(error)}") from error
    if archive is None:
        raise InputError(f"{source} is a single array, not an .npz; np.savez(file, transitions=..., start=...) writes one")
    if len(arrays) < 2:
        raise InputError(f"{source} must hold `transitions` [n_states, n_actions, n_states] and `start` [n_states]; it lacks one")
    return TabularProcess.from_arrays(arrays["transitions"], arrays["start"], horizon)


def _pair(text: str, separator: str, flag: str) -> tuple[int, int]:
    parts = text.lower().split(separator)
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise InputError(f"{flag} {text!r} is not two whole numbers from 0 on, like 5{separator}5")
    return int(parts[0]), int(parts[1])


def _folder(verb: Output) -> Path:
    if verb.out.exists() and not verb.out.is_dir():
        raise InputError(f"--out {verb.out} is a file; give a folder")
    try:
        verb.out.mkdir(parents=True, exist_ok=True)
    except (NotADirectoryError, FileNotFoundError) as error:
        raise InputError(f"--out {verb.out} cannot be made: {error.strerror}; give a folder") from error
    return verb.out


def _say_comparisons(compared: Sequence[tuple[str, Comparison]]) -> None:
    """Print both regrets and the certificates, one column per process."""
    head = [label for label, _ in compared]
    names = [entry.explorer.name for entry in compared[0][1].entries]
    say("\nworst-case hitting time, max 1/ρ, in episodes; the program (LP) has the least there is")
    say(align([["explorer", *head], *([name, *(_episodes(one.entries[i].worst) for _, one in compared)] for i, name in enumerate(names))]))
    say("\nthe other regret, max KL(ρ ‖ q) over the policies that were searched, in nats; mutual information (MI) has the least")
    say(align([["explorer", *head], *([name, *(_nats(one.entries[i].redundancy) for _, one in compared)] for i, name in enumerate(names))]))
    rows = [
        ["duality gap of the program, in probability", *(f"{one.minimax.gap:.0e}" for _, one in compared)],
        ["the adversary's likeliest goal", *(f"{one.minimax.adversary.max():.4f}" for _, one in compared)],
        ["the adversary's least likely goal", *(f"{one.minimax.adversary.min():.4f}" for _, one in compared)],
        ["information I of MI, in nats", *(_nats(one.skills.information) for _, one in compared)],
        ["gap of I to the furthest policy found", *(f"{one.skills.gap:.0e}" for _, one in compared)],
        ["what no policies exceed, proved", *(_nats(one.ceiling) for _, one in compared)],
    ]
    say("\ncertificates")
    say(align([["", *head], *rows]))
    for label, one in compared:
        say(f"{label}: the certificate of I covers {one.skills.searched}")


def _comparison_json(one: Comparison) -> dict[str, Any]:
    entries = [
        {
            "explorer": entry.explorer.name,
            "worst_hitting_time": entry.worst,
            "worst_goal": entry.goal,
            "redundancy": entry.redundancy,
            "marginal": entry.explorer.marginal.tolist(),
        }
        for entry in one.entries
    ]
    minimax, skills = one.minimax, one.skills
    return {
        "explorers": entries,
        "goals": minimax.goals.tolist(),
        "minimax": {"value": minimax.value, "bound": minimax.bound, "gap": minimax.gap, "adversary": minimax.adversary.tolist()},
        "mutual_information": {"nats": skills.information, "gap": skills.gap, "searched": skills.searched, "ceiling": one.ceiling},
    }


def _say_figures(figures: Sequence[Path]) -> None:
    say(f"\nfigures: {', '.join(map(str, figures))}")


def _episodes(value: float) -> str:
    return "infinite" if math.isinf(value) else f"{value:.1f}"


def _nats(value: float) -> str:
    return "infinite" if math.isinf(value) else f"{value:.3f}"


def _number(value: float) -> str:
    """Return a number of a column that spans many orders of magnitude."""
    if math.isnan(value):
        return "-"
    return f"{value:.4g}" if value >= 1e6 or value != round(value) else f"{value:,.0f}"
