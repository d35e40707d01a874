"""MAML: its gradient against a plain Python loop, its modes of normalization, and tasks of any number of classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

from umeta.images.episode import Examples
from umeta.images.learners.classifier import accuracy
from umeta.images.learners.maml import GradientClassifier, GradientProcedure, InnerLoop, Maml, task_loss
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.partition.partition import Partitions
from umeta.images.tasks.partition_tasks import PartitionTasks
from umeta.testing import check_metalearner, check_procedure

NET = Conv4Config(1, 28, 8, "stride", stored=False)
GOLDEN = [1.34301, 1.42019, 1.40483]


def make(statistics="batch", **options):
    inner = InnerLoop(n_steps=2, statistics=statistics, first_order=options.pop("first_order", False))
    return Maml(**({"net": NET, "n_way": 5, "inner": inner, "n_adapt_steps": 3} | options))


@pytest.mark.parametrize(("statistics", "transductive"), [("batch", True), ("stored", False)])
def test_contract(tiny_tasks, rng, statistics, transductive):
    learner = make(statistics)
    check_metalearner(learner, tiny_tasks)
    procedure = learner.export(learner.init(rng))
    assert procedure.transductive == transductive
    check_procedure(procedure, replace(tiny_tasks, k_shot=2, n_query=3).sample(rng), tolerance=1e-3)


def test_task_loss_is_the_sum_over_classes_of_mean_cross_entropies():
    logits, labels = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 1, 1, 2, 2])
    by_class = sum(F.cross_entropy(logits[labels == way], labels[labels == way]) for way in range(3))
    torch.testing.assert_close(task_loss(logits, labels), by_class)
    torch.testing.assert_close(task_loss(logits, labels), 3 * F.cross_entropy(logits, labels))


def plain_gradient(learner, state, batch):
    """Return the outer gradient by autograd alone, task after task and step after step."""
    model = state.modules["model"]
    weights = dict(model.named_parameters())
    support_labels, query_labels = batch.labels(batch.k_shot), batch.labels(batch.n_query)
    total = 0.0
    for task in batch.images():
        support, query = task[:, : batch.k_shot].flatten(0, 1), task[:, batch.k_shot :].flatten(0, 1)
        current = weights
        for _ in range(learner.inner.n_steps):
            loss = (
                sum(-functional_call(model, current, (support,)).log_softmax(-1)[i, label] for i, label in enumerate(support_labels))
                / batch.k_shot
            )
            slopes = torch.autograd.grad(loss, list(current.values()), create_graph=not learner.inner.first_order)
            current = {name: value - learner.inner.lr * slope for (name, value), slope in zip(current.items(), slopes, strict=True)}
        if learner.inner.statistics == "batch":
            logits = functional_call(model, current, (query,))
        else:
            logits = functional_call(model, current, (torch.cat([support, query]), len(support)))[len(support) :]
        total = total + F.cross_entropy(logits, query_labels) / len(batch)
    return dict(zip(weights, torch.autograd.grad(total, list(weights.values())), strict=True)), total.item()


@pytest.mark.parametrize("downsample", ["stride", "pool"])
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("statistics", ["batch", "stored"])
def test_the_vmapped_gradient_is_that_of_a_plain_loop(tiny_tasks, rng, statistics, first_order, downsample):
    learner = make(statistics, first_order=first_order, net=replace(NET, downsample=downsample))
    batch = replace(tiny_tasks, k_shot=2, n_query=3).sample_batch(rng, 3)
    wanted, loss = plain_gradient(learner, learner.init(rng), batch)
    state, metrics = learner.step(learner.init(rng), batch, rng)
    assert metrics["loss"] == pytest.approx(loss, abs=1e-5)
    for name, parameter in state.modules["model"].named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-5, rtol=1e-3)
    assert max(value.abs().max() for value in wanted.values()) > 1e-2


def test_first_and_second_order_differ(tiny_tasks, rng):
    batch = tiny_tasks.sample_batch(rng, 2)
    gradients = []
    for first_order in (False, True):
        state, _ = make(first_order=first_order).step(make().init(rng), batch, rng)
        gradients.append(state.modules["model"].head.weight.grad)
    assert (gradients[0] - gradients[1]).abs().max() > 1e-3


def test_golden_losses_and_adaptation_to_new_classes(tiny_pool, tiny_classes, rng):
    def tasks_of(chosen, n_way):
        labels = np.where(np.isin(tiny_classes, chosen), tiny_classes, -1)
        return PartitionTasks(tiny_pool, Partitions.from_labels([labels], 5), n_way, 1, 4)

    practice, learner, losses = tasks_of(range(8), 5), make(n_adapt_steps=10), []
    test = tasks_of(range(8, 12), 4).sample_batch(rng.fork("test"), 40)
    state = learner.init(rng.fork("init"))
    untrained = accuracy(learner.export(state).logits(test, rng), test.labels(4)).mean(1)
    for index in range(60):
        state, metrics = learner.step(state, practice.sample_batch(rng.fork("t", index), 4), rng.fork("s", index))
        losses.append(metrics["loss"])
    assert losses[:3] == pytest.approx(GOLDEN, abs=1e-4)
    curve = accuracy(learner.export(state).logits(test, rng), test.labels(4)).mean(1)
    assert len(curve) == 11
    assert curve[0] < 0.4
    assert curve[2] > untrained[2] + 0.15
    assert curve[-1] > untrained[-1] + 0.15
    assert curve[-1] > 0.25 + 0.4


def test_the_curve_begins_unadapted_and_ends_as_adapt_does(tiny_tasks, rng):
    procedure, batch = make().export(make().init(rng)), tiny_tasks.sample_batch(rng, 9)
    curve = procedure.logits(batch, rng)
    assert curve.shape == (4, 9, 20, 5)
    for index in (0, 8):  # of two chunks
        task = batch[index]
        torch.testing.assert_close(curve[0, index], procedure.model(task.query.images), atol=1e-5, rtol=1e-4)
        for stage in range(4):
            shorter = replace(procedure, inner=replace(procedure.inner, n_steps=stage))
            single = shorter.adapt(task.support, rng).logits(task.query.images)
            torch.testing.assert_close(curve[stage, index], single, atol=1e-4, rtol=1e-3)
    last = replace(procedure, every_step=False).logits(batch, rng)
    torch.testing.assert_close(last, curve[-1:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(replace(procedure, chunk_images=1).logits(batch, rng), curve, atol=1e-4, rtol=1e-3)


def test_more_classes_than_the_head_start_from_its_mean_row_and_fewer_use_the_first(tiny_tasks, rng):
    procedure = make().export(make().init(rng))
    wide = replace(tiny_tasks, n_way=7).sample(rng)
    start = replace(procedure, inner=replace(procedure.inner, n_steps=0))
    logits = start.adapt(wide.support, rng).logits(wide.query.images)
    assert logits.shape == (28, 7)
    torch.testing.assert_close(logits[:, :5], procedure.model(wide.query.images))
    torch.testing.assert_close(logits[:, 5], logits[:, :5].mean(1))
    torch.testing.assert_close(logits[:, 6], logits[:, 5])
    adapted = replace(procedure, inner=replace(procedure.inner, n_steps=30)).adapt(wide.support, rng)
    assert (adapted.logits(wide.support.images).argmax(-1) == wide.support.labels).all()
    batch = replace(tiny_tasks, n_way=7).sample_batch(rng, 2)
    assert procedure.logits(batch, rng).shape == (4, 2, 28, 7)
    narrow = replace(tiny_tasks, n_way=2).sample(rng)
    classifier = procedure.adapt(narrow.support, rng)
    assert classifier.logits(narrow.query.images).shape == (8, 2)
    assert procedure.model.head.out_features == 5
    untouched = [
        torch.equal(getattr(classifier.model.head, name)[2:], getattr(procedure.model.head, name)[2:]) for name in ("weight", "bias")
    ]
    assert untouched == [True, True]


def test_training_from_scratch_fits_its_support_set(tiny_tasks, rng):
    episode = replace(tiny_tasks, k_shot=2, n_query=3).sample(rng)
    procedure = GradientProcedure.from_scratch(NET, 5, rng, n_steps=40)
    classifier = procedure.adapt(episode.support, rng)
    assert (classifier.logits(episode.support.images).argmax(-1) == episode.support.labels).all()
    assert procedure.logits(replace(tiny_tasks, k_shot=2, n_query=3).sample_batch(rng, 2), rng).shape == (1, 2, 15, 5)


def test_statistics_across_tasks_are_refused():
    with pytest.raises(ValueError, match="use stored=False"):
        Maml(replace(NET, stored=True))


@pytest.mark.parametrize("statistics", ["batch", "stored"])
@pytest.mark.parametrize("n_way", [2, 7])
def test_restored_parts_predict_the_same(tiny_tasks, rng, statistics, n_way):
    procedure, episode = make(statistics).export(make().init(rng)), replace(tiny_tasks, n_way=n_way).sample(rng)
    classifier = procedure.adapt(episode.support, rng)
    wanted = classifier.logits(episode.query.images)
    again = GradientProcedure.restore(procedure.describe(), procedure.tensors())
    assert torch.equal(again.adapt(episode.support, rng).logits(episode.query.images), wanted)
    loaded = GradientClassifier.restore(classifier.describe(), classifier.tensors())
    assert torch.equal(loaded.logits(episode.query.images), wanted)


def test_unequal_shots_weigh_examples_equally(tiny_tasks, rng):
    """Adapting with an example given twice is adapting to a class of two shots; both stay finite and differ from one shot."""
    support = tiny_tasks.sample(rng).support
    twice = Examples(torch.cat([support.images, support.images[:1]]), torch.cat([support.labels, support.labels[:1]]), 5)
    procedure = make("stored").export(make().init(rng))
    first, second = (procedure.adapt(examples, rng).logits(support.images) for examples in (support, twice))
    assert torch.isfinite(second).all()
    assert (second.softmax(-1)[0, 0] > first.softmax(-1)[0, 0]).item()
