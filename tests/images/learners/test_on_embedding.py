"""Learners on vectors: the contract of any learner, practice from the pool's store, and procedures that take images."""

from dataclasses import replace

import pytest
import torch

from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.images.embed.pixels import PixelsZca
from umeta.images.embed.refined import RefinedEncoder, as_images
from umeta.images.episode import Pool
from umeta.images.learners.adaptation import InnerLoop
from umeta.images.learners.classifier import accuracy
from umeta.images.learners.maml import GradientClassifier, GradientProcedure, Maml
from umeta.images.learners.on_embedding import OnEmbedding
from umeta.images.learners.protonets import ProtoNets, PrototypeProcedure
from umeta.images.nets.perceptron import MlpConfig
from umeta.testing import check_metalearner, check_procedure


class Counted:
    """An encoder that counts the images it was given."""

    kind = PixelsZca.kind

    def __init__(self, encoder):
        self.encoder, self.n_images = encoder, 0

    def __call__(self, images):
        self.n_images += len(images)
        return self.encoder(images)

    def state_dict(self):
        return self.encoder.state_dict()

    def describe(self):
        return self.encoder.describe()


@pytest.fixture(scope="module")
def small(tiny_pool, tiny_tasks):
    """The easy tasks at 7 x 7."""
    return replace(tiny_tasks, pool=Pool(tiny_pool.images[:, :, 2::4, 2::4]))


@pytest.fixture
def encoder(small):
    return Counted(PixelsZca.fit(small.pool.images, whiten=False))


def make(kind, encoder):
    if kind == "protonets":
        return OnEmbedding(ProtoNets(MlpConfig(49, widths=(16, 16))), encoder)
    inner = InnerLoop(n_steps=2, statistics="stored")
    return OnEmbedding(Maml(MlpConfig(49, widths=(16, 16), stored=False), 5, inner, n_adapt_steps=3), encoder)


KINDS = pytest.mark.parametrize("kind", ["protonets", "maml"])


@KINDS
def test_contract(small, encoder, rng, kind):
    learner = make(kind, encoder)
    check_metalearner(learner, small)
    procedure = learner.export(learner.init(rng))
    assert not procedure.transductive
    check_procedure(procedure, replace(small, k_shot=2, n_query=3).sample(rng), tolerance=1e-3)


@KINDS
def test_the_encoder_sees_each_image_of_the_pool_once_or_never_where_the_vectors_are_known(small, encoder, rng, kind):
    learner = make(kind, encoder)
    state = learner.init(rng)
    for step in range(3):
        learner.step(state, small.sample_batch(rng.fork("tasks", step), 2), rng)
    assert encoder.n_images == len(small.pool.images)
    known = Pool(small.pool.images)
    known.keep(encoder, encoder.encoder(torch.from_numpy(known.images).float() / 255))
    learner.step(state, replace(small, pool=known).sample_batch(rng, 2), rng)
    assert encoder.n_images == len(small.pool.images)


def test_views_are_embedded_anew(small, encoder, rng):
    batch = replace(small, augment=lambda images, rng: images.flip(-1)).sample_batch(rng, 2)
    seen = replace(batch, encoder=encoder).images()
    assert encoder.n_images == 2 * 5 * 5
    flipped = small.sample_batch(rng, 2).images().flip(-1).flatten(0, 2)
    torch.testing.assert_close(seen, as_images(encoder.encoder(flipped)).view(2, 5, 5, 49, 1, 1))


@KINDS
def test_a_step_is_the_learners_own_on_vectors(small, encoder, rng, kind):
    learner = make(kind, encoder)
    ours, plain = learner.init(rng), learner.learner.init(rng)
    batch = small.sample_batch(rng, 2)
    _, metrics = learner.step(ours, batch, rng)

    class Vectors:
        def gather(self, index):
            return as_images(encoder.encoder(torch.from_numpy(small.pool.images[index.ravel()]).float() / 255)).view(*index.shape, 49, 1, 1)

    _, expected = learner.learner.step(plain, replace(batch, pool=Vectors()), rng)
    assert metrics == pytest.approx(expected, rel=1e-4)


@KINDS
def test_it_learns_and_takes_images_and_comes_back_from_its_artifact(small, encoder, rng, kind):
    learner = make(kind, encoder)
    procedure = meta_train(learner, small, meta_batch_size=4, pace=Pace(60), rng=Rng.from_seed(0))
    test = small.sample_batch(Rng.from_seed(1), 40)
    scores = procedure.logits(test, rng)
    reached = accuracy(scores, test.labels(test.n_query))[-1].mean()
    assert reached > 0.75
    restore = PrototypeProcedure.restore if kind == "protonets" else GradientProcedure.restore
    again = restore(procedure.describe(), procedure.tensors())
    assert torch.equal(again.logits(test, rng), scores)
    task = test[0]
    classifier = again.adapt(task.support, rng)
    torch.testing.assert_close(classifier.logits(task.query.images), scores[-1, 0], rtol=1e-3, atol=1e-3)
    if kind == "maml":
        loaded = GradientClassifier.restore(classifier.describe(), classifier.tensors())
        assert torch.equal(loaded.logits(task.query.images), classifier.logits(task.query.images))
    assert isinstance(again.encoder, RefinedEncoder)
    assert again.encoder(task.query.images).shape == (20, 16)
