"""PsCo: contract, the queue, the loss by hand, and learning that carries over to classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from umeta.core.loop import Pace, meta_train
from umeta.functional.transport import sinkhorn
from umeta.images.augment import RandomViews
from umeta.images.learners.classifier import accuracy
from umeta.images.learners.psco import PsCo, Queue
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.tasks.instance_tasks import InstanceTasks
from umeta.testing import check_metalearner, check_procedure

NET = Conv4Config(1, 28, 8)
PSCO = PsCo(NET, n_queue=40, n_shots=2, n_hidden=32, n_out=16)


@pytest.fixture
def tasks(tiny_pool):
    return InstanceTasks(tiny_pool, 16, RandomViews(), n_turns=4)


def test_contract(tasks, tiny_tasks, rng):
    check_metalearner(PSCO, tasks)
    check_procedure(PSCO.export(PSCO.init(rng)), replace(tiny_tasks, k_shot=2, n_query=3).sample(rng))


def test_the_queue_replaces_the_oldest():
    queue = Queue(5, 1, torch.Generator())
    for first in (1, 4, 7):
        queue.push(torch.arange(first, first + 3.0)[:, None])
    assert queue.vectors.flatten().tolist() == [6, 7, 8, 9, 5]
    assert queue.place.item() == 4
    queue.push(torch.arange(12.0)[:, None])
    assert sorted(queue.vectors.flatten().tolist()) == [7, 8, 9, 10, 11]


def test_a_step_is_the_published_loss_and_remembers_the_keys(tasks, rng):
    batch, state = tasks.sample_batch(rng, 1), PSCO.init(rng)
    fast, slow, predictor, queue = (state.modules[name].train() for name in ("fast", "slow", "predictor", "queue"))
    key, query = batch.images()[0].unbind(1)
    asked, kept = F.normalize(predictor(fast(query)), dim=1), F.normalize(slow(key), dim=1)
    found = sinkhorn(kept @ queue.vectors.T).topk(2).indices
    shots = queue.vectors[found]
    right = torch.cat([(asked * kept).sum(1, keepdim=True), asked @ queue.vectors.T], 1) / 0.2
    contrast = F.cross_entropy(right, torch.zeros(16, dtype=torch.long))
    log_share = (asked @ shots.flatten(0, 1).T).log_softmax(1).view(16, 16, 2)
    pseudo = -torch.stack([log_share[i, i].mean() for i in range(16)]).mean()
    again = PSCO.init(rng)
    again, metrics = PSCO.step(again, batch, rng)
    assert metrics["loss"] == pytest.approx((contrast + pseudo).item(), rel=1e-4)
    torch.testing.assert_close(again.modules["queue"].vectors[:16], kept, atol=1e-4, rtol=1e-4)
    before, after = (PSCO.init(rng).modules["fast"].state_dict(), again.modules["fast"].state_dict())
    weight = again.modules["slow"].state_dict()["0.convs.0.weight"]
    torch.testing.assert_close(weight, 2 / 11 * before["0.convs.0.weight"] + 9 / 11 * after["0.convs.0.weight"])


def test_practice_carries_over_to_classes(tiny_pool, tiny_tasks, rng):
    test = tiny_tasks.sample_batch(rng.fork("test"), 50)
    tasks = InstanceTasks(tiny_pool, 48, RandomViews(), n_turns=4)
    learner = replace(PSCO, n_queue=256, n_shots=1, lr=1e-2)
    trained = meta_train(learner, tasks, meta_batch_size=1, pace=Pace(120), rng=rng)
    untrained = learner.export(learner.init(rng.fork("init")))
    before, after = (float(accuracy(procedure.logits(test, rng), test.labels(4)).mean()) for procedure in (untrained, trained))
    assert after > before + 0.3
    assert after > 0.7


def test_what_cannot_be():
    with pytest.raises(ValueError, match="stored statistics"):
        PsCo(replace(NET, stored=False))
    with pytest.raises(ValueError, match="41 shots cannot be found in a queue of 40"):
        replace(PSCO, n_shots=41)


def test_any_number_of_classes_with_unequal_shots(tiny_pool, rng):
    from umeta.images.episode import Examples

    images = torch.from_numpy(np.array(tiny_pool.images[[0, 1, 24, 48, 72, 96, 120]])) / 255
    classifier = PSCO.export(PSCO.init(rng)).adapt(Examples(images, torch.tensor([0, 0, 1, 2, 3, 4, 5]), 6), rng)
    assert classifier.logits(images).shape == (7, 6)
