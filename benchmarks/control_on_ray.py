"""Steps per second of an environment whose episodes workers of Ray run, against one process with one and with two threads.

    python benchmarks/control_on_ray.py --workers 1 2 --threads 1 2 HalfCheetah-v5

Episodes are those of MAML with the default recipe: 20 tasks, 10 episodes of each. With --practice whole steps too, the gradients
included, which the command computes itself. All take turns, so that a busy machine slows all; the best round counts, by the clock. Workers
have one thread each; that all collect the same episodes, bit for bit, is checked.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from umeta.control.envs.catalog import make_process
from umeta.control.learners.maml import Maml
from umeta.control.process import ControlledProcess
from umeta.control.reward import RewardTasks
from umeta.control.trajectory import Trajectories, rollout
from umeta.core.rng import Rng
from umeta.recipes.control.learn import learner_of
from umeta.recipes.control.on_ray import CollectedProcess, employed
from umeta.recipes.control.recipe import get_control_recipe
from umeta.recipes.on_ray import started


def collected(process: ControlledProcess, threads: int, n_task: int, n_episode: int) -> Trajectories:
    """Run the episodes of a fresh policy."""
    torch.set_num_threads(threads)
    learner = Maml(process)
    return rollout(process, learner.policy, learner.policy.init(Rng.from_seed(0)), n_task, n_episode, Rng.from_seed(1))


def practiced(process: ControlledProcess, threads: int) -> None:
    """Take a step of MAML on rewards that cost nothing."""
    torch.set_num_threads(threads)
    recipe, rng = get_control_recipe("default"), Rng.from_seed(0)
    learner = learner_of(recipe, process)
    tasks = RewardTasks(lambda goal, seen, action, reached: reached[..., 0] * goal[:, None, None], torch.randn(20, generator=rng.torch()))
    learner.step(learner.init(rng), tasks, rng)


def best_of(kinds: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the least seconds of each kind; all take turns."""
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(rounds):
        for kind, run in kinds.items():
            began = time.perf_counter()
            run()
            best[kind] = min(best[kind], time.perf_counter() - began)
    return best


def main() -> None:
    """Print one line for each environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["HalfCheetah-v5"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--episodes", type=int, default=10, help="of each of 20 tasks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--practice", action="store_true", help="time whole steps of MAML, too")
    options = parser.parse_args()
    if importlib.util.find_spec("ray") is None:
        print("SKIPPED: Ray is not installed; pip install 'umeta[ray]'", file=sys.stderr)
        return
    n_task, n_episode = get_control_recipe("default").meta_batch_size, options.episodes
    with started(None, Path(), lambda n_processors: max(options.workers)) as (n_workers, _):
        for name in options.names:
            alone = make_process(name)
            workers = employed(name, n_workers, 1)
            kinds = {f"{n} threads": (alone, n) for n in options.threads}
            kinds |= {f"{n} workers": (CollectedProcess(alone, workers[:n]), 1) for n in options.workers}
            first, *others = (collected(*kind, n_task, n_episode) for kind in kinds.values())  # environments are made the first time
            assert all(torch.equal(first.reached, other.reached) for other in others), "not the same episodes"
            first_kind, n_steps = f"{options.threads[0]} threads", n_task * n_episode * alone.horizon
            best = best_of({kind: partial(collected, *given, n_task, n_episode) for kind, given in kinds.items()}, options.rounds)
            told = ", ".join(f"{kind} {n_steps / best[kind]:.0f} ({best[first_kind] / best[kind]:.2f})" for kind in kinds)
            print(f"{name}, {n_task} x {n_episode} episodes, steps a second: {told}", flush=True)
            if options.practice:
                best = best_of({kind: partial(practiced, *given) for kind, given in kinds.items()}, options.rounds)
                told = ", ".join(f"{kind} {best[kind]:.2f} ({best[first_kind] / best[kind]:.2f})" for kind in kinds)
                print(f"{name}, seconds of a step of practice: {told}", flush=True)


if __name__ == "__main__":
    main()
