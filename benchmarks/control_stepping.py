"""Steps per second of an environment of gymnasium as a process, beside the bare environment and Stable-Baselines3's vector stack.

    python benchmarks/control_stepping.py --copies 10 HalfCheetah-v5 Ant-v5

The limit is bare: one environment, which stays in the processor's cache; "in turns" are as many bare ones as the process has, a step of
each in turn. The peers are DummyVecEnv, which steps its copies in turn, and SubprocVecEnv, which has a process for each (`--subprocesses`)
and wants free cores. All take turns, so that a busy machine slows all, and the best round of each counts: in processor time, but for
SubprocVecEnv by the clock. The actions are drawn beforehand.
"""

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch

from umeta.control.envs.gymnasium_process import KNOWN, gymnasium_process, without_compiler_warnings
from umeta.core.rng import Rng

IN_PROCESSES = "SubprocVecEnv"


def peers(name: str, settings: dict, horizon: int, copies: int, subprocesses: int) -> dict[str, tuple[Any, int]]:
    """Return vector environments of Stable-Baselines3, each with its number of copies; none if it is not installed."""
    if importlib.util.find_spec("stable_baselines3") is None:
        print("SKIPPED stable-baselines3: not installed; pip install 'umeta[bench]'", file=sys.stderr)
        return {}
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    make = partial(gymnasium.make, name, max_episode_steps=horizon, **settings)
    with without_compiler_warnings():
        found = {"DummyVecEnv": (DummyVecEnv([make] * copies), copies)}
        if subprocesses:
            found[IN_PROCESSES] = (SubprocVecEnv([make] * subprocesses), subprocesses)
    return found


def main() -> None:
    """Print one line for each environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["HalfCheetah-v5"])
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--subprocesses", type=int, default=2, help="copies of SubprocVecEnv; 0 leaves it out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        process, rng = gymnasium_process(name), Rng.from_seed(0)
        low, high = np.array(process.action.low), np.array(process.action.high)
        actions = rng.numpy().uniform(low, high, (process.horizon, options.copies, len(low))).astype(np.float32)
        settings = KNOWN[name].options if name in KNOWN else {}
        with without_compiler_warnings():
            bare = [gymnasium.make(name, **settings).unwrapped for _ in range(options.copies)]

        def alone(actions=actions, bare=bare) -> None:
            for copy in range(actions.shape[1]):
                bare[0].reset(seed=copy)
                for action in actions[:, copy]:
                    bare[0].step(action)

        def in_turns(actions=actions, bare=bare) -> None:
            for copy, env in enumerate(bare):
                env.reset(seed=copy)
            for every in actions:
                for env, action in zip(bare, every, strict=True):
                    env.step(action)

        def as_process(actions=actions, process=process, rng=rng) -> None:
            running = process.start(1, actions.shape[1], rng)
            for every in torch.from_numpy(actions):
                running.step(every[None])

        def vectored(env: Any, copies: int, actions=actions) -> None:
            env.seed(0)
            env.reset()
            for every in actions[:, :copies]:
                env.step(every)

        vectors = peers(name, settings, process.horizon, options.copies, min(options.subprocesses, options.copies))
        kinds: dict[str, tuple[Callable[[], None], int]] = {
            "bare": (alone, options.copies),
            "in turns": (in_turns, options.copies),
            "process": (as_process, options.copies),
        }
        kinds |= {kind: (partial(vectored, env, copies), copies) for kind, (env, copies) in vectors.items()}
        best = dict.fromkeys(kinds, float("inf"))
        for run, _ in kinds.values():
            run()  # environments are made the first time
        for _ in range(options.rounds):
            for kind, (run, _) in kinds.items():
                clock = time.perf_counter if kind == IN_PROCESSES else time.process_time
                began = clock()
                run()
                best[kind] = min(best[kind], clock() - began)
        for env, _ in vectors.values():
            env.close()
        speed = {kind: copies * process.horizon / best[kind] for kind, (_, copies) in kinds.items()}
        told = ", ".join(f"{kind} {value:.0f}" for kind, value in speed.items())
        ratios = ", ".join(f"{speed['process'] / speed[kind]:.2f} of {kind}" for kind in speed if kind != "process")
        print(f"{name}, {options.copies} copies: {told} steps a second; process {ratios}", flush=True)


if __name__ == "__main__":
    main()
