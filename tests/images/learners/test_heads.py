"""Heads: each keeps the contract, comes back from its artifact, and says whether it is transductive."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from umeta.core.rng import Rng
from umeta.functional.prototypes import Metric
from umeta.images.learners.heads import HEADS, InContext, Mixture, Projected, Prototypes, Tuned
from umeta.images.learners.protonets import PrototypeClassifier, PrototypeProcedure
from umeta.images.nets.context import ContextConfig, ContextTransformer
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.nets.net import rebuilt
from umeta.images.nets.perceptron import Perceptron
from umeta.testing import check_procedure

RNG = Rng.from_seed(0)
EUCLIDEAN, COSINE = Metric(), Metric("cosine", 0.05)
DIM = Conv4Config(1, 28, 8).n_dim


def context(n_dim: int = DIM, *, moving: bool = True) -> ContextTransformer:
    """Return a small transformer; `moving` undoes the zeros that its last maps begin with."""
    net = ContextTransformer(ContextConfig(n_dim, 16, 2, 4), RNG.torch()).eval().requires_grad_(False)
    for linear in (net.move, net.name) if moving else ():
        linear.weight.normal_(0.0, 0.1, generator=RNG.fork("moving").torch())
    return net


def perceptrons() -> tuple[Perceptron, Perceptron]:
    projector = Perceptron(DIM, 16, 8, RNG.torch(), normalized=True)
    return projector.eval().requires_grad_(False), Perceptron(8, 16, 8, RNG.torch(), normalized=False).eval().requires_grad_(False)


ALL = {
    "prototypes": Prototypes(COSINE),
    "power": Prototypes(COSINE, 0.5),
    "center": Prototypes(COSINE, mean=torch.arange(DIM) / 10),
    "both": Prototypes(COSINE, 0.5, torch.arange(DIM) / 1000),
    "tune": Tuned(COSINE),
    "tune euclidean": Tuned(EUCLIDEAN),
    "em": Mixture(COSINE),
    "em euclidean": Mixture(EUCLIDEAN),
    "projected": Projected(*perceptrons()),
    "in-context": InContext(context(), COSINE),
}


@pytest.fixture
def procedure(request, rng):
    """A procedure with the head that is asked for."""
    config = Conv4Config(1, 28, 8)
    net = rebuilt(config, Conv4(config, rng.torch()).state_dict())
    return PrototypeProcedure(net, ALL[request.param])


@pytest.fixture
def tasks(tiny_tasks):
    return replace(tiny_tasks, k_shot=2, n_query=3)


every_head = pytest.mark.parametrize("procedure", ALL, indirect=True)


@every_head
def test_contract(procedure, tasks, rng):
    check_procedure(procedure, tasks.sample(rng))
    assert procedure.transductive == isinstance(procedure.head, Mixture)


@every_head
def test_it_comes_back_from_its_artifact(procedure, tasks, rng):
    task = tasks.sample(rng)
    classifier = procedure.adapt(task.support, rng)
    wanted = classifier.logits(task.query.images)
    again = PrototypeProcedure.restore(procedure.describe(), procedure.tensors())
    loaded = PrototypeClassifier.restore(classifier.describe(), classifier.tensors())
    assert (again.describe(), loaded.n_way) == (procedure.describe(), 5)
    assert torch.equal(again.adapt(task.support, rng).logits(task.query.images), wanted)
    assert torch.equal(loaded.logits(task.query.images), wanted)


@every_head
def test_a_batch_of_tasks_is_each_alone(procedure, tasks, rng):
    batch = tasks.sample_batch(rng, 3)
    single = torch.stack([procedure.adapt(task.support, rng).logits(task.query.images) for task in batch])
    torch.testing.assert_close(procedure.logits(batch, rng)[0], single, atol=1e-3, rtol=1e-3)


def test_power_and_mean_by_hand():
    head = Prototypes(COSINE, 0.5, torch.tensor([0.6, 0.0]))
    # (9, -16) becomes (3, -4), at length 1 (0.6, -0.8), less the mean (0, -0.8), at length 1 (0, -1)
    torch.testing.assert_close(head.straightened(torch.tensor([[9.0, -16.0]])), torch.tensor([[0.0, -1.0]]))
    assert Prototypes(COSINE).straightened(torch.tensor([[9.0, -16.0]])).tolist() == [[9.0, -16.0]]


@pytest.mark.parametrize("metric", [EUCLIDEAN, COSINE, Metric("euclidean", 2.0)])
def test_tuning_starts_from_prototypes(metric):
    support, queries = torch.randn(6, 4, generator=RNG.torch()), torch.randn(5, 4, generator=RNG.fork("q").torch())
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    plain, untuned = (head.logits(queries, head.fit(support, labels, 3, RNG)) for head in (Prototypes(metric), Tuned(metric, n_steps=0)))
    torch.testing.assert_close(plain.softmax(-1), untuned.softmax(-1))
    tuned = Tuned(metric, n_steps=50, lr=1e-2)
    before, after = (
        F.cross_entropy(head.logits(support, head.fit(support, labels, 3, RNG)), labels) for head in (Prototypes(metric), tuned)
    )
    assert after < before


def test_an_untrained_transformer_is_plain_prototypes():
    support, queries = torch.randn(6, 8, generator=RNG.torch()), torch.randn(5, 8, generator=RNG.fork("q").torch())
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    plain, still = (
        head.logits(queries, head.fit(support, labels, 3, RNG))
        for head in (Prototypes(COSINE), InContext(context(8, moving=False), COSINE))
    )
    torch.testing.assert_close(plain, still)


def test_in_context_no_query_sees_another_and_every_class_is_seen():
    head, support = InContext(context(8), COSINE), torch.randn(6, 8, generator=RNG.torch())
    queries = torch.randn(5, 8, generator=RNG.fork("q").torch())
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    together = head.logits(queries, head.fit(support, labels, 3, RNG))
    for place in range(5):
        alone = head.logits(queries[place : place + 1], head.fit(support, labels, 3, RNG))
        torch.testing.assert_close(alone[0], together[place])
    changed = support.clone()
    changed[5] += 1
    assert not torch.allclose(head.logits(queries, head.fit(changed, labels, 3, RNG))[:, 0], together[:, 0])


def test_only_centering_asks_for_the_mean():
    def mean():
        raise LookupError

    for name, make in HEADS.items():
        if name == "center":
            with pytest.raises(LookupError):
                make(COSINE, mean)
        else:
            assert make(COSINE, mean).metric == COSINE
    assert HEADS["power"](EUCLIDEAN, mean).metric.kind == "cosine", "after length 1 only directions are left"
