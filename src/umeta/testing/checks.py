"""Knows what every part that enters umeta must keep, as functions that raise `AssertionError` where it does not."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from umeta.core.metalearner import MetaLearner
from umeta.core.rng import Rng
from umeta.core.state import ModuleState
from umeta.core.task import TaskDistribution
from umeta.images.episode import Episode, Episodes, Examples
from umeta.images.learners.classifier import ImageProcedure
from umeta.theory.explorer import random_walk
from umeta.theory.tasks import TabularTask


def _assert(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def check_task_distribution(tasks: TaskDistribution[Episode], *, n_tasks: int = 20) -> None:
    """Check that tasks are pure functions of their stream, differ between streams, and keep support and query apart.

    Raises:
        AssertionError: Naming what is broken.
    """
    rng = Rng.from_seed(0)
    first, again = tasks.sample_batch(rng, n_tasks), tasks.sample_batch(rng, n_tasks)
    other = tasks.sample_batch(rng.fork("other"), n_tasks)
    _assert(len(first) == n_tasks, f"sample_batch gave {len(first)} tasks, not {n_tasks}")
    _assert(
        isinstance(first, Episodes) and isinstance(again, Episodes) and isinstance(other, Episodes),
        "a batch is not Episodes",
    )
    assert isinstance(first, Episodes) and isinstance(again, Episodes) and isinstance(other, Episodes)
    _assert(bool((first.indices == again.indices).all()), "the same stream gave two different batches")
    _assert(torch.equal(first.images(), again.images()), "the same stream gave two different sets of images")
    _assert(not np.array_equal(first.indices, other.indices), "two streams gave the same batch")
    for task in first.indices.tolist():
        classes = [set(images) for images in task]
        _assert(len(set().union(*classes)) == sum(map(len, classes)), "an image appears in two classes of one task")
        if first.augment is None:
            _assert(all(len(own) == first.indices.shape[2] for own in classes), "an image appears twice in one class, unchanged")
    single = tasks.sample(rng)
    _assert(single.support.n_way == first.n_way, "sample and sample_batch disagree on n_way")
    for part in (single.support, single.query):
        _assert(len(part.images) == len(part.labels), "images and labels differ in number")
        _assert(set(part.labels.tolist()) == set(range(part.n_way)), "a class has no image, or a label is out of range")
        _assert(float(part.images.min()) >= 0 and float(part.images.max()) <= 1, "image values leave [0, 1]")


def check_tabular_tasks(tasks: TaskDistribution[TabularTask], *, n_tasks: int = 20) -> None:
    """Check tasks on small processes: pure functions of their stream, with finite rewards, whose support and query run different episodes.

    Raises:
        AssertionError: Naming what is broken.
    """
    rng = Rng.from_seed(0)
    first, again = tasks.sample_batch(rng, n_tasks), tasks.sample_batch(rng, n_tasks)
    other = tasks.sample_batch(rng.fork("other"), n_tasks)
    _assert(len(first) == n_tasks, f"sample_batch gave {len(first)} tasks, not {n_tasks}")
    _assert(_same_rewards(first, again), "the same stream gave two different batches")
    _assert(not _same_rewards(first, other), "two streams gave the same batch")
    _assert(_same_rewards([tasks.sample(rng)], tasks.sample_batch(rng, 1)), "sample is not a batch of one")
    for task in first:
        _assert(task.reward.shape == (task.process.n_states,), f"a reward has shape {task.reward.shape}")
        _assert(bool(np.isfinite(task.reward).all()), "a reward is not finite")
    policy = random_walk(first[0].process).policy
    support, query = first[0].support.run(policy, rng), first[0].query.run(policy, rng)
    _assert(np.array_equal(support[0], first[0].support.run(policy, rng)[0]), "running is not a pure function of its stream")
    n_both = min(len(support[0]), len(query[0]))
    _assert(not np.array_equal(support[0][:n_both], query[0][:n_both]), "support and query run the same episodes")


def check_metalearner(
    learner: MetaLearner[Episode, ModuleState, ImageProcedure], tasks: TaskDistribution[Episode], *, meta_batch_size: int = 2
) -> None:
    """Check init, step and export: repeatable, finite, resumable from tensors, and export independent of later steps.

    Raises:
        AssertionError: Naming what is broken.
    """
    rng = Rng.from_seed(1)
    batches = [tasks.sample_batch(rng.fork("tasks", index), meta_batch_size) for index in range(3)]
    state, twin = learner.init(rng), learner.init(rng)
    _assert(_equal(state.tensors(), twin.tensors()), "init is not a pure function of its stream")
    before = {name: value.clone() for name, value in state.tensors().items()}
    state, metrics = learner.step(state, batches[0], rng.fork("step", 0))
    twin, twin_metrics = learner.step(twin, batches[0], rng.fork("step", 0))
    _assert(math.isfinite(metrics["loss"]), f"the loss is {metrics['loss']}")
    _assert(
        metrics == twin_metrics and _equal(state.tensors(), twin.tensors()),
        "a step is not a pure function of state, tasks and stream",
    )
    _assert(not _equal({k: state.tensors()[k] for k in before}, before), "a step changed nothing")
    fresh: ModuleState = learner.init(rng.fork("elsewhere"))
    fresh.load_tensors({name: value.clone() for name, value in state.tensors().items()})
    exported = learner.export(state)
    kept = {name: value.clone() for name, value in exported.tensors().items()}
    for index in (1, 2):
        state, _ = learner.step(state, batches[index], rng.fork("step", index))
        fresh, _ = learner.step(fresh, batches[index], rng.fork("step", index))
    _assert(_equal(state.tensors(), fresh.tensors()), "a state loaded from tensors goes on differently")
    _assert(_equal(exported.tensors(), kept), "later steps changed an exported procedure")


def check_procedure(procedure: ImageProcedure, episode: Episode, *, tolerance: float = 1e-4) -> None:
    """Check adaptation: it leaves the procedure as it was, takes unequal shots, and is transductive only if it says so.

    Args:
        procedure: What is checked.
        episode: A task with at least 2 queries and 2 support images in some class.
        tolerance: On logits.

    Raises:
        AssertionError: Naming what is broken.
    """
    rng = Rng.from_seed(2)
    before = {name: value.clone() for name, value in procedure.tensors().items()}
    classifier = procedure.adapt(episode.support, rng)
    queries = episode.query.images
    logits = classifier.logits(queries)
    _assert(logits.shape == (len(queries), episode.support.n_way), f"logits have shape {tuple(logits.shape)}")
    _assert(_equal(procedure.tensors(), before), "adapt changed the procedure")
    _assert(torch.equal(procedure.adapt(episode.support, rng).logits(queries), logits), "adapt is not a pure function")
    alone = torch.cat([classifier.logits(query[None]) for query in queries])
    independent = bool(torch.allclose(alone, logits, atol=tolerance, rtol=tolerance))
    claim = "transductive" if procedure.transductive else "inductive"
    _assert(independent != procedure.transductive, f"it says that it is {claim}, but one query's result says otherwise")
    order = torch.randperm(len(episode.support.labels), generator=rng.torch())
    shuffled = Examples(episode.support.images[order], episode.support.labels[order], episode.support.n_way)
    again = procedure.adapt(shuffled, rng).logits(queries)
    _assert(
        bool(torch.allclose(again, logits, atol=10 * tolerance, rtol=10 * tolerance)),
        "the order of the examples matters",
    )
    keep = torch.ones(len(order), dtype=torch.bool)
    repeated = int(torch.bincount(episode.support.labels).argmax())
    keep[int((episode.support.labels == repeated).nonzero()[0])] = int((episode.support.labels == repeated).sum()) == 1
    unequal = Examples(episode.support.images[keep], episode.support.labels[keep], episode.support.n_way)
    _assert(
        bool(torch.isfinite(procedure.adapt(unequal, rng).logits(queries)).all()),
        "unequal shots give scores that are not finite",
    )


def _same_rewards(first: Sequence[TabularTask], second: Sequence[TabularTask]) -> bool:
    return all(np.array_equal(one.reward, two.reward) for one, two in zip(first, second, strict=True))


def _equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
