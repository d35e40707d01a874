"""ProtoNets: contract, golden first losses, and learning that carries over to new classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from umeta.core.loop import Pace, meta_train
from umeta.core.parallel import Team
from umeta.core.rng import Rng
from umeta.functional.contrastive import nt_xent
from umeta.functional.prototypes import Metric
from umeta.images.augment import RandomViews
from umeta.images.learners.classifier import accuracy
from umeta.images.learners.protonets import ProtoNets, PrototypeClassifier, PrototypeProcedure, episode_logits, warmed
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.nets.perceptron import MlpConfig
from umeta.images.nets.resnet12 import ResNet12Config
from umeta.images.partition.partition import Partitions
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.images.tasks.partition_tasks import PartitionTasks
from umeta.testing import check_metalearner, check_procedure

NET = Conv4Config(1, 28, 8)
COSINE = ProtoNets(replace(NET, signed=True), Metric("cosine", 0.1), "pairs", lr=2e-3, weight_decay=0.01, average=0.9)
GOLDEN = [1.49526, 1.36329, 1.16171]


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


@pytest.mark.parametrize(
    ("learner", "size"),
    [
        (COSINE, 2),
        (ProtoNets(NET, n_splits=3), 8),
        (ProtoNets(replace(NET, normalization="layer")), 2),
        (ProtoNets(ResNet12Config(1, 28, (4, 4, 4, 4))), 4),
        (ProtoNets(MlpConfig(1, 28)), 2),
    ],
)
def test_processes_that_share_a_step_end_where_one_does_bit_for_bit(tiny_tasks, rng, learner, size, in_team):
    def train(team, n_steps=3):
        return meta_train(learner, tiny_tasks, meta_batch_size=1, pace=Pace(n_steps), rng=rng, team=team).net.state_dict()

    alone, *shared = [train(Team(exact=True)), *in_team(size, train)]
    for weights in shared:
        assert all(torch.equal(weights[name], alone[name]) for name in alone)
    plain, exact = train(Team(), 1), train(Team(exact=True), 1)
    assert np.median([float((plain[name] - exact[name]).abs().median()) for name in plain]) < 1e-6


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


def test_cosine_logits_by_hand():
    embedding = torch.tensor([[[[3.0, 0.0], [0.0, 0.5], [2.0, 2.0]], [[0.0, -7.0], [0.0, -1.0], [9.0, 0.0]]]])
    half = 0.5**0.5  # centers (half, half) and (0, -1), queries (half, half) and (1, 0)
    wanted = torch.tensor([[[1.0, -half], [half, 0.0]]]) / 0.5
    torch.testing.assert_close(episode_logits(embedding, 2, Metric("cosine", 0.5)), wanted)


@pytest.mark.parametrize("learner", [COSINE, replace(COSINE, objective="episode", n_splits=2)])
def test_contract_by_cosine(tiny_pool, rng, learner):
    tasks = InstanceTasks(tiny_pool, 8, RandomViews(), n_turns=4)
    check_metalearner(learner, tasks)
    check_procedure(learner.export(learner.init(rng)), tasks_of(tiny_pool, np.arange(12).repeat(24), range(12), 5).sample(rng))
    state, _ = learner.step(learner.init(rng), tasks.sample_batch(rng, 2), rng)
    procedure, task = learner.export(state), tasks.sample(rng)
    wanted = procedure.adapt(task.support, rng)
    again = PrototypeProcedure.restore(procedure.describe(), procedure.tensors()).adapt(task.support, rng)
    loaded = PrototypeClassifier.restore(wanted.describe(), wanted.tensors())
    for classifier in (again, loaded):
        assert torch.equal(classifier.logits(task.query.images), wanted.logits(task.query.images))


def test_practice_on_instances_carries_over_to_classes(tiny_pool, tiny_classes, rng):
    test = tasks_of(tiny_pool, tiny_classes, range(12), 5).sample_batch(rng.fork("test"), 50)
    tasks = InstanceTasks(tiny_pool, 32, RandomViews(), n_turns=4)
    untrained = COSINE.export(COSINE.init(rng.fork("init")))
    trained = meta_train(COSINE, tasks, meta_batch_size=1, pace=Pace(40), rng=rng)
    before, after = (accuracy(procedure.logits(test, rng), test.labels(4)).mean() for procedure in (untrained, trained))
    assert after > before + 0.05
    assert after > 0.8


def test_the_export_is_the_average_of_the_weights_so_far(tiny_pool, rng):
    tasks = InstanceTasks(tiny_pool, 8, RandomViews())
    state = COSINE.init(rng)
    seen = [{name: value.clone() for name, value in state.modules["net"].state_dict().items()}]
    for index in range(2):
        state, _ = COSINE.step(state, tasks.sample_batch(rng.fork("t", index), 1), rng)
        seen.append({name: value.clone() for name, value in state.modules["net"].state_dict().items()})
    for name, value in COSINE.export(state).tensors().items():
        first, second, third = (one[name.removeprefix("net.")] for one in seen)
        kept = 0.25  # of (1 + n) / (10 + n): 2 / 11, then 3 / 12
        wanted = kept * (2 / 11 * first + 9 / 11 * second) + (1 - kept) * third
        torch.testing.assert_close(value, wanted, atol=1e-5, rtol=1e-5)


def test_an_average_remembers_less_at_first():
    assert [warmed(0.9, n) for n in (0, 8, 80, 81, 1000)] == pytest.approx([0.1, 0.5, 0.9, 0.9, 0.9])


def test_the_objective_of_pairs_is_nt_xent_per_task(tiny_pool, rng):
    batch = InstanceTasks(tiny_pool, 8, RandomViews()).sample_batch(rng, 3)
    net = COSINE.init(rng).modules["net"].train()
    embedding = net(batch.images().flatten(0, 2)).reshape(3, 8, 2, -1)
    wanted = sum(nt_xent(task, 0.1)[0].item() for task in embedding) / 3
    _, metrics = COSINE.step(COSINE.init(rng), batch, rng)
    assert metrics["loss"] == pytest.approx(wanted, rel=1e-4)


def test_pairs_want_cosines():
    with pytest.raises(ValueError, match="cosine"):
        ProtoNets(NET, objective="pairs")


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
