"""DeepCluster: its components, even draws, refilled clusters, and an embedding that gets better than its start."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from umeta.benchmarks.glyphs import Glyphs
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.errors import InputError
from umeta.core.loop import Pace
from umeta.images.embed.deepcluster import DeepCluster, DeepClusterEncoder, components, even_draw, refilled, start_from_means
from umeta.images.embed.encoder import embed_all
from umeta.images.embed.training import fit
from umeta.images.episode import Pool
from umeta.images.learners.baselines import registered
from umeta.images.learners.classifier import accuracy

DEEP = DeepCluster(n_clusters=12, steps_each=5, batch_size=32)


def render_pool():
    """Return 1500 of the glyphs' training images, which know no label."""
    images = Glyphs().split("scripts", "meta_train").images
    return np.ascontiguousarray(images[np.random.default_rng(3).permutation(len(images))[:1500]])


def nearest_neighbor(encoder, rng):
    """Return the accuracy of the nearest example on 100 10-way 1-shot tasks of Cyrillic."""
    held = Glyphs().split("scripts", "meta_val")
    episodes = labeled_tasks(held, Pool(held.images), n_way=10, k_shot=1, n_query=5).sample_batch(rng, 100)
    logits = registered(encoder)["knn"].logits(episodes, rng)
    return accuracy(logits, episodes.labels(5))[-1].mean().item()


def test_components_are_half_way_to_equal_spread_and_no_noise_is_blown_up(rng):
    features = torch.randn(500, 4, generator=rng.torch()) @ torch.diag(torch.tensor([9.0, 1.0, 0.25, 1e-6])) + 3
    features = features @ torch.linalg.qr(torch.randn(4, 4, generator=rng.fork("turn").torch()))[0]
    mean, projection = components(features, 10)
    assert projection.shape == (4, 3)
    points = (features - mean) @ projection
    torch.testing.assert_close(points.T @ points / 500, torch.diag(torch.tensor([9.0, 1.0, 0.25])), atol=1e-5, rtol=0.15)
    assert components(features, 2)[1].shape == (4, 2)
    torch.testing.assert_close(components(features, 2)[1], projection[:, :2])
    assert components(torch.randn(40, 30, generator=rng.fork("few").torch()), 256)[1].shape == (30, 5)


def test_small_clusters_are_drawn_as_often_as_large_ones(rng):
    labels = torch.tensor([2] * 90 + [0] * 9 + [5])
    drawn = even_draw(labels, 7, 3000, rng)
    counts = torch.bincount(labels[drawn], minlength=7)
    assert (counts[[0, 2, 5]] > 900).all() and counts.sum() == counts[[0, 2, 5]].sum()
    assert len(torch.unique(drawn)) == 100


def test_an_empty_cluster_takes_the_far_half_of_the_largest():
    points = np.float32([[0], [1], [2], [9], [10], [50]])
    again = refilled(points, np.array([0, 0, 0, 0, 0, 3]), 4)
    assert np.bincount(again, minlength=4).min() >= 1
    assert again[3] == again[4] == 1 and again[5] == 3
    crowded = refilled(np.zeros((5, 2), np.float32), np.zeros(5, np.int64), 5)
    assert sorted(crowded) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 42), (3, 84)])
def test_any_image_becomes_a_vector_of_length_one(rng, channels, side):
    pool = np.random.default_rng(0).integers(0, 255, (40, channels, side, side)).astype(np.uint8)
    deep = replace(DEEP, n_clusters=None)
    encoder = deep.encoder(deep.init(pool, rng), pool)
    vectors = embed_all(encoder, pool)
    assert vectors.shape[1] <= 256
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(40))


def test_the_top_layer_starts_as_distances_to_the_means():
    features, labels = torch.tensor([[0.0, 0.0], [2.0, 0.0], [9.0, 1.0]]), torch.tensor([0, 0, 1])
    top = torch.nn.Linear(2, 2)
    start_from_means(top, features, labels)
    queries = torch.tensor([[1.0, 3.0], [8.0, 0.0]])
    distance = torch.tensor([[9.0, 68.0], [49.0, 2.0]])
    scores = top(queries)
    torch.testing.assert_close(scores[:, 0] - scores[:, 1], (distance[:, 1] - distance[:, 0]) / 20)


def test_clusters_are_made_anew_and_the_top_starts_afresh(tiny_pool, rng):
    state = DEEP.init(tiny_pool.images, rng)
    DEEP.step(state, tiny_pool.images, 0, rng.fork("a"))
    first, top = state.modules["assignment"].labels.clone(), state.modules["top"].weight.clone()
    assert torch.bincount(first, minlength=12).min() >= 1
    DEEP.step(state, tiny_pool.images, 1, rng.fork("b"))
    assert torch.equal(state.modules["assignment"].labels, first)
    assert (state.modules["top"].weight - top).abs().max() < 0.01
    DEEP.step(state, tiny_pool.images, 5, rng.fork("c"))
    assert not torch.equal(state.modules["assignment"].labels, first)
    assert (state.modules["top"].weight - top).abs().max() > 0.05
    assert all(slots["step"] == 1 for slots in state.optimizers["top_adam"].state.values())


def test_the_network_comes_to_name_the_clusters_of_changed_images(tiny_pool, rng, recorder):
    fit(replace(DEEP, steps_each=25), tiny_pool.images, Pace(25), rng, observer=recorder)
    losses = [metrics["loss"] for metrics in recorder.metrics]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])
    assert recorder.metrics[-1]["accuracy"] > 0.4


def test_training_tells_characters_of_a_script_that_it_never_saw_better_than_its_start(rng):
    images = render_pool()
    deep = DeepCluster(n_clusters=150, steps_each=50, batch_size=64)
    state = deep.init(images, rng.fork("init"))
    before = nearest_neighbor(deep.encoder(state, images), rng.fork("tasks"))
    state = fit(deep, images, Pace(100), rng, state=state)
    after = nearest_neighbor(deep.encoder(state, images), rng.fork("tasks"))
    assert after > before + 0.06  # views alone teach something: images shuffled over the clusters give 0.04


def test_a_resumed_fit_is_the_straight_one(tiny_pool, rng, resumed):
    straight = fit(DEEP, tiny_pool.images, Pace(7), rng).tensors()
    again = resumed(DEEP, tiny_pool.images, 7, 3, rng).tensors()
    assert straight.keys() == again.keys()
    assert all(torch.equal(straight[name], again[name]) for name in straight)


def test_there_and_back(tiny_pool, rng):
    encoder = DEEP.encoder(DEEP.init(tiny_pool.images, rng), tiny_pool.images)
    again = DeepClusterEncoder.restore(encoder.describe(), {name: value.clone() for name, value in encoder.state_dict().items()})
    images = tiny_pool.gather(np.arange(5))
    torch.testing.assert_close(again(images), encoder(images))


def test_the_picture_shows_one_cluster_a_row(tiny_pool, rng):
    state = DEEP.init(tiny_pool.images, rng)
    DEEP.step(state, tiny_pool.images, 0, rng)
    table = (DEEP.picture(state, tiny_pool.images, rng) * 255).round().byte().numpy()
    held = state.modules["assignment"]
    assert len(held.chosen) == 5 * 32 < len(tiny_pool.images)
    labels = {image.tobytes(): int(label) for image, label in zip(tiny_pool.images[held.chosen.numpy()], held.labels, strict=True)}
    rows = [{labels[image.tobytes()] for image in row} for row in table]
    assert [len(row) for row in rows] == [1] * 10
    assert len(set.union(*rows)) == 10


def test_more_clusters_than_images_are_refused(tiny_pool, rng):
    with pytest.raises(InputError, match="into 289 clusters needs at least 2 clusters and as many images; there are 288"):
        replace(DEEP, n_clusters=289).init(tiny_pool.images, rng)
