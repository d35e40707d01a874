"""ProtoNets: contract, golden first losses, and learning that carries over to new classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.images.learners.classifier import accuracy
from umeta.images.learners.protonets import ProtoNets, PrototypeClassifier, PrototypeProcedure, episode_logits
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.partition.partition import Partitions
from umeta.images.tasks.partition_tasks import PartitionTasks
from umeta.testing import check_metalearner, check_procedure

NET = Conv4Config(1, 28, 8)
GOLDEN = [1.39693, 1.31585, 1.34364]


def tasks_of(pool, classes, chosen, n_way):
    labels = np.where(np.isin(classes, chosen), classes, -1)
    return PartitionTasks(pool, Partitions.from_labels([labels], 5), n_way, 1, 4)


def test_contract(tiny_tasks, rng):
    for n_splits in (1, 3):
        learner = ProtoNets(NET, n_splits=n_splits)
        check_metalearner(learner, tiny_tasks)
    check_procedure(learner.export(learner.init(rng)), replace(tiny_tasks, k_shot=2, n_query=3).sample(rng))


def test_golden_losses_and_learning_for_new_classes(tiny_pool, tiny_classes, rng):
    practice, held_out = tasks_of(tiny_pool, tiny_classes, range(8), 5), tasks_of(tiny_pool, tiny_classes, range(8, 12), 4)
    learner, losses = ProtoNets(NET), []
    state = learner.init(rng.fork("init"))
    test = held_out.sample_batch(rng.fork("test"), 50)
    untrained = accuracy(learner.export(state).logits(test, rng), test.labels(4)).mean()
    for index in range(60):
        state, metrics = learner.step(state, practice.sample_batch(rng.fork("t", index), 4), rng.fork("s", index))
        losses.append(metrics["loss"])
    assert losses[:3] == pytest.approx(GOLDEN, abs=1e-4)
    assert sum(losses[-10:]) / 10 < 0.25
    trained = accuracy(learner.export(state).logits(test, rng), test.labels(4)).mean()
    assert trained > untrained + 0.1
    assert trained > 0.25 + 0.4


def test_meta_train_is_init_step_export(tiny_tasks, rng):
    learner = ProtoNets(NET)
    shipped = meta_train(learner, tiny_tasks, meta_batch_size=2, pace=Pace(2), rng=rng)
    state = learner.init(rng.fork("init"))
    for index in range(2):
        state.anneal(index / 2)
        state, _ = learner.step(state, tiny_tasks.sample_batch(rng.fork("tasks", index), 2), rng.fork("step", index))
    wanted = learner.export(state).tensors()
    assert all(torch.equal(value, wanted[name]) for name, value in shipped.tensors().items())


def test_the_loss_is_the_cross_entropy_of_a_slow_loop(tiny_tasks, rng):
    learner = ProtoNets(NET)
    batch = tiny_tasks.sample_batch(rng, 3)
    net = learner.init(rng).modules["net"].train()
    embedding = net(batch.images().flatten(0, 2)).reshape(3, 5, 5, -1)
    losses = []
    for task in embedding:
        for way in range(5):
            for query in task[way, 1:]:
                logits = torch.stack([-(query - task[other, 0]).square().sum() for other in range(5)])
                losses.append(F.cross_entropy(logits, torch.tensor(way)))
    _, metrics = learner.step(learner.init(rng), batch, rng)
    assert metrics["loss"] == pytest.approx(torch.stack(losses).mean().item(), rel=1e-4)


def test_the_batched_path_and_the_single_one_agree(tiny_tasks, rng):
    procedure = ProtoNets(NET).export(ProtoNets(NET).init(rng))
    batch = replace(tiny_tasks, k_shot=3, n_query=2).sample_batch(rng, 4)
    together = procedure.logits(batch, rng)
    assert together.shape == (1, 4, 10, 5)
    single = torch.stack([procedure.adapt(task.support, rng).logits(task.query.images) for task in batch])
    torch.testing.assert_close(together[0], single, atol=1e-4, rtol=1e-4)


def test_episode_logits_by_hand():
    embedding = torch.tensor([[[[0.0], [2.0], [1.0]], [[5.0], [7.0], [4.0]]]])  # centers 1 and 6, queries 1 and 4
    assert episode_logits(embedding, 2, Metric()).tolist() == [[[0.0, -25.0], [-9.0, -4.0]]]


def test_stored_statistics_are_required():
    with pytest.raises(ValueError, match="ProtoNets need stored statistics"):
        ProtoNets(replace(NET, stored=False))


def test_restored_parts_predict_the_same(tiny_tasks, rng):
    learner = ProtoNets(NET)
    state, _ = learner.step(learner.init(rng), tiny_tasks.sample_batch(rng, 2), rng)
    procedure, episode = learner.export(state), tiny_tasks.sample(rng)
    classifier = procedure.adapt(episode.support, rng)
    wanted = classifier.logits(episode.query.images)
    again = PrototypeProcedure.restore(procedure.describe(), procedure.tensors())
    assert torch.equal(again.adapt(episode.support, Rng.from_seed(9)).logits(episode.query.images), wanted)
    loaded = PrototypeClassifier.restore(classifier.describe(), classifier.tensors())
    assert torch.equal(loaded.logits(episode.query.images), wanted)
    assert (classifier.n_way, loaded.n_way) == (5, 5)
