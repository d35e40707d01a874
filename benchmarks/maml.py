"""Time one meta-step of MAML against a plain Python loop, `higher` and `parallel-metalearn`, on the same work and one thread.

usage: python benchmarks/maml.py [--repeats N] [--json FILE]

Every contender gets the same weights and tasks and returns the gradient of the mean query loss. Time is processor time of this process,
the least of interleaved repeats, so other programs on the machine disturb it little. The limit is the floating-point operations of the
convolutions and the head over the rate of a large single-precision matrix product, measured in the same run.
"""

import argparse
import importlib.util
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from umeta.core.memory import keep_large_blocks
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.images.learners.adaptation import InnerLoop
from umeta.images.learners.maml import Maml
from umeta.images.nets.conv4 import Conv4Config

Gradients = dict[str, Tensor]
SIDE, LR, N_STEPS = 28, 0.05, 5


@dataclass(frozen=True)
class Setting:
    name: str
    width: int
    n_query: int
    n_way: int = 5
    k_shot: int = 1
    n_task: int = 8
    first_order: bool = False


SETTINGS = (
    Setting("Conv4-32, 5 queries", 32, 5),
    Setting("Conv4-32, 5 queries, first order", 32, 5, first_order=True),
    Setting("Conv4-64, 15 queries", 64, 15),
    Setting("Conv4-64, 15 queries, first order", 64, 15, first_order=True),
    Setting("Conv4-32, 5 queries, 20-way", 32, 5, n_way=20),
    Setting("Conv4-32, 5 queries, 5-shot", 32, 5, k_shot=5),
    Setting("Conv4-32, 5 queries, 32 tasks", 32, 5, n_task=32),
)
ASKED = {
    ("Conv4-32, 5 queries", "loop"): 1.4,
    ("Conv4-32, 5 queries", "higher"): 2.0,
    ("Conv4-32, 5 queries", "parallel-metalearn"): 1.3,
}
ASKED_OF_LIMIT = {"Conv4-64, 15 queries": 0.4}


class Work:
    """Tasks and weights of a setting, the same for every contender."""

    def __init__(self, setting: Setting, dtype: torch.dtype = torch.float32) -> None:
        self.setting, rng = setting, Rng.from_seed(0)
        net = Conv4Config(1, SIDE, setting.width, "stride", stored=False, scale=False)
        self.learner = Maml(net, setting.n_way, InnerLoop(LR, N_STEPS, setting.first_order))
        self.state: ModuleState = self.learner.init(rng.fork("weights"))
        self.state.modules["model"].to(dtype)
        n_support, n_query = setting.n_way * setting.k_shot, setting.n_way * setting.n_query
        shape = (1, SIDE, SIDE)
        self.support = torch.rand(setting.n_task, n_support, *shape, generator=rng.fork("support").torch(), dtype=dtype)
        self.query = torch.rand(setting.n_task, n_query, *shape, generator=rng.fork("query").torch(), dtype=dtype)
        self.support_labels = torch.arange(setting.n_way).repeat_interleave(setting.k_shot)
        self.query_labels = torch.arange(setting.n_way).repeat_interleave(setting.n_query)
        self.weights = dict(self.state.modules["model"].named_parameters())


class Block(nn.Module):
    """Convolution, normalization and rectifier as a person would write them; the shift is a parameter of its own."""

    def __init__(self, n_in: int, n_out: int, norm: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False)
        self.norm = norm
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(images)) + self.bias.view(-1, 1, 1))


class Plain(nn.Module):
    """The strided Conv4 in plain torch, with weights of the work."""

    def __init__(self, work: Work, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        width = work.setting.width
        self.blocks = nn.Sequential(*(Block(width if block else 1, width, norm(width)) for block in range(4)))
        self.head = nn.Linear(width, work.setting.n_way)
        self.to(next(iter(work.weights.values())).dtype)
        with torch.no_grad():
            for name, value in self.named_parameters():
                value.copy_(work.weights[ours(name)])

    def forward(self, images: Tensor, **kwargs: object) -> Tensor:
        return self.head(self.blocks(images).mean((2, 3)))


def ours(name: str) -> str:
    """Return the name in umeta's network of a weight of `Plain`."""
    parts = name.split(".")
    if parts[0] == "head":
        return name
    return f"net.convs.{parts[1]}.weight" if parts[2] == "conv" else f"net.norms.{parts[1]}.bias"


def torch_norm(width: int) -> nn.Module:
    return nn.BatchNorm2d(width, affine=False, track_running_stats=False)


def umeta_step(work: Work) -> Callable[[], Gradients]:
    def run() -> Gradients:
        loss, _ = work.learner.outer_loss(work.state, work.support, work.support_labels, work.query, work.query_labels)
        return dict(zip(work.weights, torch.autograd.grad(loss, list(work.weights.values())), strict=True))

    return run


def loop_step(work: Work) -> Callable[[], Gradients]:
    model, second = Plain(work, torch_norm), not work.setting.first_order
    names = [name for name, _ in model.named_parameters()]

    def run() -> Gradients:
        shared = list(model.parameters())
        total = [torch.zeros_like(value) for value in shared]
        for support, query in zip(work.support, work.query, strict=True):
            current = shared
            for _ in range(N_STEPS):
                logits = torch.func.functional_call(model, dict(zip(names, current, strict=True)), (support,))
                loss = work.setting.n_way * F.cross_entropy(logits, work.support_labels)
                slopes = torch.autograd.grad(loss, current, create_graph=second)
                current = [value - LR * slope for value, slope in zip(current, slopes, strict=True)]
            logits = torch.func.functional_call(model, dict(zip(names, current, strict=True)), (query,))
            slopes = torch.autograd.grad(F.cross_entropy(logits, work.query_labels) / work.setting.n_task, shared)
            total = [value + slope for value, slope in zip(total, slopes, strict=True)]
        return dict(zip(map(ours, names), total, strict=True))

    return run


def higher_step(work: Work) -> Callable[[], Gradients]:
    import higher

    model = Plain(work, torch_norm)
    inner = torch.optim.SGD(model.parameters(), LR)

    def run() -> Gradients:
        model.zero_grad()
        for support, query in zip(work.support, work.query, strict=True):
            kept = {"copy_initial_weights": False, "track_higher_grads": not work.setting.first_order}
            with higher.innerloop_ctx(model, inner, **kept) as (current, optimizer):
                for _ in range(N_STEPS):
                    optimizer.step(work.setting.n_way * F.cross_entropy(current(support), work.support_labels))
                loss = F.cross_entropy(current(query), work.query_labels) / work.setting.n_task
                if work.setting.first_order:
                    slopes = torch.autograd.grad(loss, list(current.parameters()))
                    for value, slope in zip(model.parameters(), slopes, strict=True):
                        value.grad = slope if value.grad is None else value.grad + slope
                else:
                    loss.backward()
        return {ours(name): value.grad.clone() for name, value in model.named_parameters()}

    return run


def parallel_step(work: Work) -> Callable[[], Gradients]:
    from metalearn.algorithms import MAML
    from metalearn.inner_optimizers import InnerSGD
    from metalearn.loss import CategoricalAccuracy, CrossEntropy
    from metalearn.model_wrappers import MAML_Model
    from metalearn.nn_models.basic_layers.BatchNormalization import BatchNorm

    plain = Plain(work, lambda width: BatchNorm(width, affine=False, track_running_stats=False))

    class Below(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = plain.blocks

        def forward(self, images: Tensor, **kwargs: object) -> Tensor:
            return self.blocks(images).mean((2, 3))

    class Head(nn.Linear):
        def forward(self, vectors: Tensor, **kwargs: object) -> Tensor:
            return super().forward(vectors)

    head = Head(work.setting.width, work.setting.n_way).to(work.support.dtype)
    head.load_state_dict(plain.head.state_dict())
    model = MAML_Model(Below(), head)
    inner = InnerSGD(
        OrderedDict(model.get_fast_weights()),
        first_order=work.setting.first_order,
        inner_lr=LR * work.setting.n_way,
        max_inner_steps=N_STEPS,
        learn_lr=False,
    )
    outer = torch.optim.SGD(model.parameters(), 0.0)
    loss = CrossEntropy(metric_fn=CategoricalAccuracy())
    learner = MAML(
        model=model, optimizer=outer, inner_optimizer=inner, support_loss_fn=loss, inner_steps=N_STEPS, chunk_size=work.setting.n_task
    )
    n_task = work.setting.n_task
    targets = [{"labels": labels.expand(n_task, -1)} for labels in (work.support_labels, work.query_labels)]

    def tasks() -> Iterator[tuple[Tensor, dict[str, Tensor], Tensor, dict[str, Tensor]]]:
        yield work.support, targets[0], work.query, targets[1]

    def run() -> Gradients:
        learner.step(tasks(), training=True)
        found = {name.removeprefix("backbone."): value.grad.clone() for name, value in model.named_parameters()}
        return {ours(name): value for name, value in found.items()}

    return run


PEERS = {
    "loop": (None, loop_step),
    "higher": ("higher", higher_step),
    "parallel-metalearn": ("metalearn", parallel_step),
}


def disagreement(one: Gradients, other: Gradients) -> float:
    """Return the largest difference of two gradients, as a share of the largest number of the weight's gradient."""
    return max(float((one[name] - other[name]).abs().max() / one[name].abs().max()) for name in one)


def operations(setting: Setting) -> float:
    """Return the floating-point operations of a meta-step in convolutions and head, without any that could be left out.

    A layer costs one product forward, one for its weights and, above the first layer, one for its input; a second-order step
    differentiates each of them: 9 products in place of 3, and 4 of the first layer in place of 2.
    """
    sides, n_in, first, rest = (14, 7, 4, 2), setting.width, 0, 0
    for block, side in enumerate(sides):
        cost = 2 * side**2 * 9 * (n_in if block else 1) * setting.width
        first, rest = (first + cost, rest) if block == 0 else (first, rest + cost)
    rest += 2 * setting.width * setting.n_way
    once = 2 * first + 3 * rest
    inner = once if setting.first_order else 4 * first + 9 * rest
    return setting.n_task * setting.n_way * (setting.k_shot * N_STEPS * inner + setting.n_query * once)


def least(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def matrix_rate() -> float:
    """Return floating-point operations per second of a large single-precision product."""
    one = torch.rand(1024, 1024, generator=Rng.from_seed(0).torch())
    return 2 * 1024**3 / min(least(lambda: one @ one) for _ in range(20))


def contenders(work: Work) -> dict[str, Callable[[], Gradients]]:
    """Return every contender that is installed."""
    found = {"umeta": umeta_step(work)}
    for name, (package, make) in PEERS.items():
        if package is None or importlib.util.find_spec(package):
            found[name] = make(work)
    return found


def measure(setting: Setting, repeats: int, rate: float) -> dict[str, object]:
    exact = contenders(Work(setting, torch.float64))
    gradients = {name: run() for name, run in exact.items()}
    apart = {name: disagreement(gradients["umeta"], found) for name, found in gradients.items() if name != "umeta"}
    runs = contenders(Work(setting))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats + 1):
        for name, run in runs.items():
            taken = least(run)
            if number:
                times[name].append(taken)
    best = {name: min(taken) for name, taken in times.items()}
    bound = operations(setting) / rate
    print(f"\n{setting.name}: {setting.n_task} tasks, {setting.n_way}-way {setting.k_shot}-shot, {N_STEPS} inner steps")
    share = bound / best["umeta"]
    print(f"  limit {1000 * bound:6.1f} ms ({operations(setting) / 1e9:.2f} GFLOP); umeta reaches {share:.0%} of the matrix rate")
    for name, taken in best.items():
        ratio, asked = taken / best["umeta"], ASKED.get((setting.name, name))
        told = "" if name == "umeta" else f"  umeta is {ratio:.2f} x as fast; gradients (float64) apart by {apart[name]:.0e}"
        print(f"  {name:18} {1000 * taken:6.1f} ms{told}{'' if asked is None else f' (asked: {asked} x)'}")
    if setting.name in ASKED_OF_LIMIT:
        print(f"  asked of the matrix rate: {ASKED_OF_LIMIT[setting.name]:.0%}")
    return {"setting": setting.name, "milliseconds": {k: 1000 * v for k, v in best.items()}, "limit": 1000 * bound, "apart": apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", help="settings whose name begins so")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_large_blocks()  # as `learn` does
    for name, (package, _) in PEERS.items():
        if package is not None and importlib.util.find_spec(package) is None:
            print(f"SKIPPED: {name} is not installed; pip install 'umeta[bench]'")
    rate = matrix_rate()
    print(f"matrix products: {rate / 1e9:.0f} GFLOP/s on one thread; torch {torch.__version__}")
    rows = [measure(setting, given.repeats, rate) for setting in SETTINGS if setting.name.startswith(given.only or "")]
    if given.json:
        given.json.write_text(json.dumps({"matrix_rate": rate, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
