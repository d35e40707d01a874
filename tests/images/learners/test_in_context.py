"""The in-context learner: contract, small tasks from one embedding, and a head that learns more than prototypes know."""

from dataclasses import replace

import pytest
import torch

from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.functional.prototypes import Metric
from umeta.images.augment import RandomViews
from umeta.images.learners.classifier import accuracy
from umeta.images.learners.heads import Prototypes
from umeta.images.learners.in_context import ContextLearner
from umeta.images.learners.protonets import ProtoNets, PrototypeProcedure, steps_taken
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.images.tasks.mixtures import Mixtures
from umeta.testing import check_metalearner, check_procedure

RNG = Rng.from_seed(0)
ENCODER = PrototypeProcedure(
    Conv4(Conv4Config(1, 28, 8, signed=True), RNG.torch()).eval().requires_grad_(False), Prototypes(Metric("cosine", 0.1))
)
LEARNER = ContextLearner(ENCODER, width=32, most_ways=8, n_splits=4, lr=3e-3, n_warm=10)


@pytest.fixture
def tasks(tiny_pool):
    return InstanceTasks(tiny_pool, 16, Mixtures(RandomViews(), tiny_pool, 5, 3), n_query=2, k_shot=3)


def test_contract(tasks, tiny_tasks, rng):
    check_metalearner(LEARNER, tasks)
    state, _ = LEARNER.step(LEARNER.init(rng), tasks.sample_batch(rng, 1), rng)
    check_procedure(LEARNER.export(state), replace(tiny_tasks, k_shot=2, n_query=3).sample(rng))


def test_smaller_tasks_keep_support_and_queries_of_a_class_together(rng):
    embedding = torch.arange(2 * 12 * 5.0).view(2, 12, 5, 1)
    shapes = set()
    for index in range(40):
        support, labels, queries, answers = LEARNER.smaller(embedding, 3, rng.fork("x", index))
        n_way = int(labels.max()) + 1
        shapes.add((n_way, labels.shape[1] // n_way))
        for own, label, asked, answer in zip(support[..., 0], labels, queries[..., 0], answers, strict=True):
            classes = [set((own[label == way] // 5).tolist()) for way in range(n_way)]
            assert all(len(one) == 1 for one in classes) and len(set().union(*classes)) == n_way
            assert [set((asked[answer == way] // 5).tolist()) for way in range(n_way)] == classes
            assert (own % 5 < 3).all() and sorted(asked.tolist()) == sorted({5 * (x // 5) + q for x in own.tolist() for q in (3, 4)})
            assert len(set(own.tolist())) == len(own)
        assert (support[:4] < 60).all() and (support[4:] >= 60).all(), "each task is made from one larger one"
    assert shapes == {(n_way, k) for n_way in (5, 6, 7, 8) for k in (1, 2, 3)}


def test_the_first_loss_is_that_of_prototypes_and_the_encoder_stays(tasks, rng):
    batch, before = tasks.sample_batch(rng, 1), {name: value.clone() for name, value in ENCODER.net.state_dict().items()}
    support, labels, queries, answers = LEARNER.smaller(batch.embedded(ENCODER.net), 3, rng)
    metric = ENCODER.head.metric
    logits = metric.logits(queries, metric.centers(support, labels, int(labels.max()) + 1))
    wanted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), answers.flatten())
    _, metrics = LEARNER.step(LEARNER.init(rng), batch, rng)
    assert metrics["loss"] == pytest.approx(wanted.item(), rel=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in ENCODER.net.state_dict().items())


def test_practice_improves_on_prototypes_for_other_numbers_of_classes(tiny_pool, tiny_classes, tiny_tasks, rng):
    tasks = InstanceTasks(tiny_pool, 32, Mixtures(RandomViews(), tiny_pool, 5, 3), n_query=2, k_shot=3)
    trained = meta_train(LEARNER, tasks, meta_batch_size=1, pace=Pace(80), rng=rng)
    test = replace(tiny_tasks, n_way=10).sample_batch(rng.fork("test"), 40)
    before, after = (float(accuracy(procedure.logits(test, rng), test.labels(4)).mean()) for procedure in (ENCODER, trained))
    assert after > before + 0.03


def test_the_rate_rises_from_nothing_and_a_resumed_state_knows_where_it_is(tasks, rng, monkeypatch):
    state, rates, real = LEARNER.init(rng), [], torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: rates.append(self.param_groups[0]["lr"]) or real(self))
    for index in range(3):
        state, _ = replace(LEARNER, n_warm=2).step(state, tasks.sample_batch(rng.fork("t", index), 1), rng)
    assert rates == pytest.approx([1.5e-3, 3e-3, 3e-3])
    again = LEARNER.init(rng)
    again.load_tensors(state.tensors())
    assert steps_taken(again.optimizers["adam"]) == 3


def test_an_encoder_without_directions_is_refused():
    learner = ProtoNets(Conv4Config(1, 28, 8))
    with pytest.raises(ValueError, match="by the cosine"):
        ContextLearner(learner.export(learner.init(RNG)))
