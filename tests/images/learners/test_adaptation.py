"""MAML's relatives: what each moves, where it starts, and what reaches the outer loss."""

from dataclasses import replace

import pytest
import torch

from umeta.functional.prototypes import prototypes, squared_distance_logits
from umeta.images.learners.adaptation import InnerLoop, NetClassifier
from umeta.images.learners.maml import GradientProcedure, Maml
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.nets.resnet12 import ResNet12Config
from umeta.testing import check_metalearner, check_procedure

NET = Conv4Config(1, 28, 4, "stride", stored=False)
RELATIVES = {
    "anil": Maml(NET, 5, InnerLoop(n_steps=2, adapts="head"), n_adapt_steps=3),
    "meta-sgd": Maml(NET, 5, InnerLoop(n_steps=2), n_adapt_steps=3, learn_rates=True),
    "protomaml": Maml(NET, 5, InnerLoop(n_steps=2, head="prototypes", lr=0.01), n_adapt_steps=3),
    "layer norm": Maml(replace(NET, normalization="layer"), 5, InnerLoop(n_steps=2), n_adapt_steps=3),
    "resnet12": Maml(ResNet12Config(1, 28, (2, 2, 2, 2), stored=False), 5, InnerLoop(n_steps=1), n_adapt_steps=1),
}


@pytest.mark.parametrize("name", RELATIVES)
def test_contract_and_artifact(name, tiny_tasks, rng):
    learner = RELATIVES[name]
    check_metalearner(learner, tiny_tasks)
    procedure = learner.export(learner.init(rng))
    assert procedure.transductive == (name != "layer norm")
    episode = replace(tiny_tasks, k_shot=2, n_query=2).sample(rng)
    check_procedure(procedure, episode, tolerance=1e-3)
    again = GradientProcedure.restore(procedure.describe(), procedure.tensors())
    for n_way in (3, 7):
        batch = replace(tiny_tasks, n_way=n_way).sample_batch(rng, 2)
        wanted = procedure.logits(batch, rng)
        assert wanted.shape == (procedure.inner.n_steps + 1, 2, 4 * n_way, n_way)
        assert torch.equal(again.logits(batch, rng), wanted)
        alone = procedure.adapt(batch[0].support, rng).logits(batch[0].query.images)
        torch.testing.assert_close(alone, wanted[-1, 0], atol=1e-4, rtol=1e-3)


def test_anil_adapts_the_head_alone(tiny_tasks, rng):
    learner = RELATIVES["anil"]
    procedure, support = learner.export(learner.init(rng)), tiny_tasks.sample(rng).support
    adapted = procedure.adapt(support, rng).model.state_dict()
    before = procedure.model.state_dict()
    assert {name for name in before if not torch.equal(adapted[name], before[name])} == {"head.weight", "head.bias"}


def test_anil_is_maml_whose_body_has_rate_zero(tiny_tasks, rng):
    learner, batch = RELATIVES["anil"], tiny_tasks.sample_batch(rng, 2)
    state = learner.init(rng)
    model = state.modules["model"]
    weights = dict(model.named_parameters())
    rates = {name: torch.full_like(value, 0.05 if name.startswith("head.") else 0.0) for name, value in weights.items()}
    images = batch.images()
    given = (images[:, :, :1].flatten(1, 2), batch.labels(1), images[:, :, 1:].flatten(1, 2), 5)
    frozen = InnerLoop(n_steps=2).run(model, weights, *given, rates=rates)[1][0]
    torch.testing.assert_close(learner.inner.run(model, weights, *given)[1][0], frozen, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("first_order", [False, True])
def test_the_gradient_of_learned_rates_is_that_of_finite_differences(tiny_tasks, rng, first_order):
    inner = InnerLoop(n_steps=1, first_order=first_order)
    learner = replace(RELATIVES["meta-sgd"], inner=inner, net=replace(NET, side=12, normalization="layer"))
    state = learner.init(rng)
    for module in state.modules.values():
        module.double()
    images = tiny_tasks.sample_batch(rng, 2).images().double()[..., :12, :12]
    given = (images[:, :, :1].flatten(1, 2), torch.arange(5), images[:, :, 1:].flatten(1, 2), torch.arange(5).repeat_interleave(4))
    learner.outer_loss(state, *given)[0].backward()
    for name in ("head/weight", "net/convs/1/weight", "net/norms/2/bias"):
        rate = dict(state.modules["rates"].named_parameters())[name]
        place = int(rate.grad.abs().argmax())
        assert rate.grad.flatten()[place].abs() > 1e-6
        losses = []
        for change in (1e-5, -2e-5, 1e-5):
            with torch.no_grad():
                rate.view(-1)[place] += change
            losses.append(learner.outer_loss(state, *given)[0].item())
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(rate.grad.flatten()[place].item(), rel=1e-3)


def test_learned_rates_start_at_the_fixed_one_and_move(tiny_tasks, rng):
    learner, batch = RELATIVES["meta-sgd"], tiny_tasks.sample_batch(rng, 2)
    plain = replace(learner, learn_rates=False)
    state, metrics = learner.step(learner.init(rng), batch, rng)
    assert metrics["loss"] == pytest.approx(plain.step(plain.init(rng), batch, rng)[1]["loss"], abs=1e-6)
    rates = learner.export(state).rates
    assert set(rates) == {name for name, _ in state.modules["model"].named_parameters()}
    assert all((value != 0.05).any() for value in rates.values())


def test_protomaml_without_steps_ranks_as_prototypes_do(tiny_tasks, rng):
    learner = RELATIVES["protomaml"]
    procedure = learner.export(learner.init(rng))
    task = replace(tiny_tasks, n_way=7, k_shot=2, n_query=2).sample(rng)
    start = replace(procedure, inner=replace(procedure.inner, n_steps=0)).adapt(task.support, rng)
    embed = procedure.model.net
    queries = embed(task.query.images)
    wanted = squared_distance_logits(queries, prototypes(embed(task.support.images), task.support.labels, 7))
    # The squared length of the query is the same for every class, and the linear head leaves it out.
    torch.testing.assert_close(start.logits(task.query.images) - queries.square().sum(1, keepdim=True), wanted, atol=1e-4, rtol=1e-4)


def test_a_head_of_prototypes_has_no_rates_to_learn():
    with pytest.raises(ValueError, match="no rates of its own"):
        replace(RELATIVES["protomaml"], learn_rates=True)


def test_a_pooled_conv4_of_84_pixels_is_meta_trained(rng):
    learner = Maml(Conv4Config(3, 84, 2, stored=False), 2, InnerLoop(n_steps=1))
    state = learner.init(rng)
    images = torch.rand(2, 4, 3, 84, 84, generator=rng.torch())
    labels = torch.tensor([0, 0, 1, 1])
    loss, _ = learner.outer_loss(state, images, labels, images.flip(1), labels.flip(0))
    loss.backward()
    assert isinstance(state.modules["model"], NetClassifier)
    assert all(value.grad.abs().max() > 0 for value in state.modules["model"].parameters())
