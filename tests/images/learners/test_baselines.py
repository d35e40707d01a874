"""Baselines against scikit-learn and by hand; none of them looks at the queries."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from umeta.core.rng import Rng
from umeta.images.embed.pixels import flatten_pixels
from umeta.images.learners.baselines import (
    ClusterColoring,
    ClusterMatching,
    EmbeddedProcedure,
    LinearClassifier,
    Mlp,
    NearestNeighbor,
    cluster_centers,
    compact_clusters,
    registered,
)
from umeta.images.learners.classifier import accuracy
from umeta.testing import check_procedure


def blobs(n_task=3, n_way=4, k_shot=3, n_query=5, spread=1.0, seed=0):
    """Return support, labels, query and query labels of tasks whose classes are points 3 apart on the axes."""
    draw = torch.Generator().manual_seed(seed)
    centers = 3 * torch.eye(n_way, 6)

    def sample(n_each):
        labels = torch.arange(n_way).repeat_interleave(n_each)
        return centers[labels] + spread * torch.randn(n_task, len(labels), 6, generator=draw), labels

    (support, labels), (query, query_labels) = sample(k_shot), sample(n_query)
    return support, labels, query, query_labels


def heads(support):
    centers = support[0].reshape(4, -1, 6).mean(1)
    coloring = ClusterColoring(support[0], torch.arange(4).repeat_interleave(3), centers)
    return {
        "knn": NearestNeighbor(),
        "linear": LinearClassifier(),
        "mlp": Mlp(),
        "cluster-matching": ClusterMatching(centers),
        "cluster-coloring": coloring,
    }


def test_the_nearest_neighbor_is_that_of_scikit_learn(rng):
    support, labels, query, _ = blobs()
    logits = NearestNeighbor()(support, labels, query, 4, rng)
    for task in range(3):
        model = KNeighborsClassifier(1).fit(support[task].numpy(), labels.numpy())
        np.testing.assert_array_equal(logits[task].argmax(-1).numpy(), model.predict(query[task].numpy()))
        nearest = torch.from_numpy(model.kneighbors(query[task].numpy())[0][:, 0])
        torch.testing.assert_close(-logits[task].amax(-1), nearest.float(), atol=1e-5, rtol=1e-5)


def test_nearest_neighbor_scores_by_hand(rng):
    support, labels = torch.tensor([[[0.0], [4.0], [10.0]]]), torch.tensor([0, 1, 0])
    logits = NearestNeighbor()(support, labels, torch.tensor([[[1.0], [8.0]]]), 3, rng)
    assert logits.tolist() == [[[-1.0, -3.0, -torch.inf], [-2.0, -4.0, -torch.inf]]]


@pytest.mark.parametrize("n_way", [2, 4])
def test_the_linear_classifier_is_that_of_scikit_learn(rng, n_way):
    support, labels, query, _ = blobs(n_way=n_way)
    logits = LinearClassifier(0.3)(support, labels, query, n_way, rng)
    assert logits.shape == (3, 5 * n_way, n_way)
    for task in range(3):
        model = LogisticRegression(C=0.3, max_iter=1000).fit(support[task].numpy(), labels.numpy())
        np.testing.assert_allclose(logits[task].exp().numpy(), model.predict_proba(query[task].numpy()), atol=1e-5)


def test_cluster_matching_by_hand(rng):
    centers = torch.tensor([[0.0], [10.0], [20.0], [30.0]])
    # Cluster 0: labels 1, 1, 0, so class 1. Cluster 1: labels 2 and 0, a tie, so class 0. Cluster 2 has no name. Cluster 3: class 1.
    support = torch.tensor([[[0.0], [1.0], [2.0], [9.0], [11.0], [29.0]]])
    labels = torch.tensor([1, 1, 0, 2, 0, 1])
    logits = ClusterMatching(centers)(support, labels, torch.tensor([[[1.0], [19.0], [24.0]]]), 3, rng)
    assert logits[0, :, 2].tolist() == [-1e9] * 3  # class 2 won no cluster
    torch.testing.assert_close(logits[0, :, :2], torch.tensor([[-9.0, -1.0], [-9.0, -11.0], [-14.0, -6.0]]))
    assert logits.argmax(-1).tolist() == [[1, 0, 1]]  # 19 and 24 are in the nameless cluster; the nearest named ones decide


def test_cluster_matching_names_clusters_anew_for_each_task(rng):
    centers = torch.tensor([[0.0], [10.0]])
    support = torch.tensor([[[0.0], [10.0]], [[10.0], [0.0]]])
    logits = ClusterMatching(centers)(support, torch.tensor([0, 1]), support, 2, rng)
    assert logits.argmax(-1).tolist() == [[0, 1], [0, 1]]


def test_cluster_centers_are_means_and_empty_clusters_are_left_out():
    embedding = torch.tensor([[0.0], [2.0], [7.0], [99.0]])
    assert cluster_centers(embedding, torch.tensor([3, 3, 0, -1])).tolist() == [[7.0], [1.0]]


def test_cluster_coloring_is_logistic_regression_on_examples_and_the_nearest_members_of_their_clusters(rng):
    pool, cluster = torch.tensor([[0.0], [1.0], [5.0], [10.0], [11.0], [30.0], [99.0]]), torch.tensor([4, 4, 4, 7, 7, 9, -1])
    head = ClusterColoring(pool, compact_clusters(cluster), cluster_centers(pool, cluster), most=2)
    # The examples fall into the first two clusters; of the first, the two nearest to its mean of 2 are colored. The third has no name.
    support, labels, query = torch.tensor([[[0.5], [12.0]]]), torch.tensor([1, 0]), torch.tensor([[[3.0], [7.0]]])
    wanted = LogisticRegression(max_iter=1000).fit([[0.5], [12.0], [1.0], [0.0], [10.0], [11.0]], [1, 0, 1, 1, 0, 0])
    logits = head(support, labels, query, 2, rng)
    np.testing.assert_allclose(logits[0].exp().numpy(), wanted.predict_proba(query[0].numpy()), atol=1e-3)


def test_clusters_are_numbered_without_gaps():
    assert compact_clusters(torch.tensor([7, -1, 3, 7, 9])).tolist() == [1, -1, 0, 1, 2]


@pytest.mark.parametrize("name", ["knn", "linear", "mlp", "cluster-matching", "cluster-coloring"])
def test_every_head_separates_blobs_and_never_looks_at_the_other_queries(rng, name):
    support, labels, query, query_labels = blobs(spread=0.4)
    head = heads(support)[name]
    logits = head(support, labels, query, 4, rng)
    assert accuracy(logits[None], query_labels).min() >= 0.95
    order = torch.randperm(query.shape[1], generator=rng.torch())
    torch.testing.assert_close(head(support, labels, query[:, order], 4, rng), logits[:, order], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(head(support, labels, query[:, :1] * 1, 4, rng), logits[:, :1], atol=1e-4, rtol=1e-4)
    assert torch.equal(head(support, labels, query, 4, rng), logits)
    assert not logits.requires_grad


def test_the_mlp_draws_from_its_stream(rng):
    support, labels, query, _ = blobs()
    assert not torch.equal(Mlp()(support, labels, query, 4, rng), Mlp()(support, labels, query, 4, Rng.from_seed(1)))


def test_the_mlp_trains_under_no_grad_too(rng):
    support, labels, query, query_labels = blobs(spread=0.3)
    with torch.no_grad():
        assert accuracy(Mlp()(support, labels, query, 4, rng)[None], query_labels).mean() > 0.95


@pytest.mark.parametrize("name", ["knn", "linear", "mlp"])
def test_a_baseline_is_a_learning_procedure(tiny_tasks, rng, name):
    procedure = EmbeddedProcedure(lambda images: F.avg_pool2d(images, 4).flatten(1), registered(flatten_pixels)[name].head)
    if name != "mlp":  # the order of its dropout masks follows the order of its examples
        check_procedure(procedure, tiny_tasks.sample(rng), tolerance=1e-3)
    batch = tiny_tasks.sample_batch(rng, 2)
    assert procedure.logits(batch, rng).shape == (1, 2, 20, 5)
    assert accuracy(procedure.logits(batch, rng), batch.labels(4)).mean() > 0.4


def test_cluster_matching_is_offered_only_where_there_are_clusters():
    assert list(registered(flatten_pixels)) == ["knn", "linear", "mlp"]
    with_clusters = registered(flatten_pixels, torch.zeros(2, 3), torch.tensor([0, 1]))
    assert list(with_clusters) == ["knn", "linear", "mlp", "cluster-matching", "cluster-coloring"]


def test_accuracy_by_hand_and_a_tie_goes_to_the_lower_label():
    logits = torch.tensor([[[[1.0, 1.0], [0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]]])
    assert accuracy(logits, torch.tensor([0, 1, 1, 1])).tolist() == [[0.75]]
    assert accuracy(logits, torch.tensor([1, 1, 1, 1])).tolist() == [[0.5]]
