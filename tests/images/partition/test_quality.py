"""What can be told of partitions without a label, by hand and against scikit-learn's own numbers."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import silhouette_score

from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.partition.quality import describe_partitions
from umeta.images.partition.shuffled import RandomPartitioner

TRUTH = np.arange(6).repeat(20)
BLOBS = 20 * torch.eye(6, 8)[torch.from_numpy(TRUTH)] + torch.randn(120, 8, generator=torch.Generator().manual_seed(0))


def test_sizes_by_hand(rng):
    first = np.array([0, 0, 0, 1, 1, 1, 1, 2, -1, -1])
    second = np.array([0] * 10)
    found = describe_partitions([first, second], None, rng, min_size=3)
    assert (found["n_images"], found["n_partitions"], found["n_clusters"]) == (10, 2, 2.0)
    assert found["sizes"] == [1, 2, 4, 6, 10], "of 1, 3, 4 and 10"
    assert found["n_usable"] == {"mean": 1.5, "least": 1}
    assert found["covered"] == pytest.approx((0.7 + 1.0) / 2)
    assert found["silhouette"] is None
    json.dumps(found)


def test_what_is_there_scores_high_and_random_labels_at_chance(rng):
    good = KMeansPartitioner(6, 4, max_tries=10, min_share=0.99).fit(BLOBS, rng, min_size=15)
    sure, blind = (
        describe_partitions(labels, BLOBS, rng, min_size=5) for labels in (good, RandomPartitioner(6, 4).fit(BLOBS, rng, min_size=5))
    )
    assert sure["stability"] > 0.8 and abs(blind["stability"]) < 0.1
    assert sure["silhouette"] > 0.5 and blind["silhouette"] < 0.05
    assert sure["silhouette"] == pytest.approx(silhouette_score(BLOBS.numpy(), good[0]), abs=1e-4)
    assert describe_partitions(good, BLOBS, rng, min_size=5) == sure


def test_stability_ignores_names_and_images_in_no_cluster(rng):
    renamed = np.where(np.arange(120) % 2 == 0, (TRUTH + 2) % 6, -1)
    found = describe_partitions([TRUTH, renamed], BLOBS, rng, min_size=1)
    assert found["stability"] == pytest.approx(1)
    assert describe_partitions([TRUTH], BLOBS, rng, min_size=1)["stability"] is None


def test_what_cannot_be_computed_is_none(rng):
    alone = describe_partitions([np.arange(10), np.full(10, -1)], torch.randn(10, 3), rng, min_size=2)
    assert (alone["silhouette"], alone["stability"], alone["n_usable"]) == (None, None, {"mean": 0.0, "least": 0})
    assert describe_partitions([np.full(10, -1)], None, rng, min_size=2)["sizes"] is None
