"""Measure how many steps per CPU-second an environment of gymnasium makes as a process, beside the bare environment in a loop.

    python benchmarks/control_stepping.py --copies 10 HalfCheetah-v5 Ant-v5

Bare is one environment, which stays in the processor's cache; "in turns" are as many bare ones as the process has, a step of each in turn.
The three take turns, so that a busy machine slows all. The actions are drawn beforehand.
"""

import argparse
import time
from collections.abc import Callable

import gymnasium
import numpy as np
import torch

from umeta.control.envs.gymnasium_process import KNOWN, gymnasium_process, without_compiler_warnings
from umeta.core.rng import Rng


def main() -> None:
    """Print one line for each environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["HalfCheetah-v5"])
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
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

        kinds: dict[str, Callable[[], None]] = {"bare": alone, "in turns": in_turns, "process": as_process}
        spent = dict.fromkeys(kinds, 0.0)
        as_process()  # environments are made the first time
        for _ in range(options.rounds):
            for kind, run in kinds.items():
                began = time.process_time()
                run()
                spent[kind] += time.process_time() - began
        n = options.rounds * options.copies * process.horizon
        speed = {kind: n / seconds for kind, seconds in spent.items()}
        told = ", ".join(f"{kind} {value:.0f}" for kind, value in speed.items())
        print(f"{name}: {told} steps per CPU-second; process {speed['process'] / speed['bare']:.0%} of bare")


if __name__ == "__main__":
    main()
