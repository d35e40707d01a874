"""Time one training step of the default recipe against its convolutions alone.

usage: python benchmarks/step.py [--downsample pool|stem] [--steps N]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from umeta.core.memory import keep_large_blocks
from umeta.core.precision import half_precision_pays, mixed_precision
from umeta.core.rng import Rng
from umeta.images.augment import VIEWS
from umeta.images.episode import Pool
from umeta.images.learners.protonets import ProtoNets
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.recipes.named import get_recipe

N_WAY, SIDE = 256, 28


def convolutions(net: Conv4, n_images: int) -> Callable[[], None]:
    """Return a function that runs each convolution of a network forward and backward, on inputs of the shapes that it meets."""
    inputs: list[tuple[nn.Conv2d, torch.Tensor]] = []
    hooks = [conv.register_forward_pre_hook(lambda module, given: inputs.append((module, given[0].detach().clone()))) for conv in net.convs]
    with torch.no_grad(), mixed_precision(torch.device("cpu")):
        net(torch.rand(n_images, 1, SIDE, SIDE).contiguous(memory_format=torch.channels_last))
    for hook in hooks:
        hook.remove()
    for _, given in inputs[1:]:
        given.requires_grad_()

    def run() -> None:
        for conv, given in inputs:
            with mixed_precision(given.device):
                out = conv(given)
            out.backward(torch.ones_like(out))

    return run


def seconds(run: Callable[[], object], n: int) -> float:
    """Return the median time of a call, after two to warm up."""
    times = []
    for _ in range(n + 2):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return float(np.median(times[2:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--downsample", default="pool", choices=("pool", "stem"))
    parser.add_argument("--steps", type=int, default=15)
    given = parser.parse_args()
    keep_large_blocks()  # as `learn` does
    recipe, rng = get_recipe("default"), Rng.from_seed(0)
    net = Conv4Config(1, SIDE, 64, given.downsample, signed=True)
    learner = ProtoNets(net, recipe.metric, recipe.objective, recipe.lr, recipe.weight_decay, recipe.average)
    pool = Pool(rng.numpy().integers(0, 255, (5000, 1, SIDE, SIDE), np.uint8))
    tasks = InstanceTasks(pool, N_WAY, VIEWS["drawings"], n_turns=4)
    state = learner.init(rng)
    alone_s = seconds(convolutions(state.modules["net"], 2 * N_WAY), given.steps)
    views_s = seconds(lambda: tasks.sample_batch(rng, 1).images(), given.steps)
    step_s = seconds(lambda: learner.step(state, tasks.sample_batch(rng, 1), rng), given.steps)
    again_s = seconds(convolutions(state.modules["net"], 2 * N_WAY), given.steps)
    alone_s = (alone_s + again_s) / 2
    precision = "bfloat16" if half_precision_pays("cpu") else "float32"
    print(f"{given.downsample}, {2 * N_WAY} images of {SIDE}x{SIDE}, {torch.get_num_threads()} threads, {precision}")
    print(f"convolutions alone {1000 * alone_s:.0f} ms, whole step {1000 * step_s:.0f} ms (views {1000 * views_s:.0f} ms)")
    print(f"whole step / convolutions: {step_s / alone_s:.2f} (asked: at most 1.3)")


if __name__ == "__main__":
    main()
