"""K-means under random metrics: finds what is there, repeats itself, and refuses what has no clusters."""

import time

import faiss
import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.images.partition.kmeans import KMeansPartitioner
from umeta.images.partition.seeding import first_centers

TRUTH = np.arange(6).repeat(20)


def blobs(scale=20.0):
    draw = torch.Generator().manual_seed(0)
    return scale * torch.eye(6, 8)[torch.from_numpy(TRUTH)] + torch.randn(120, 8, generator=draw)


def test_every_partition_recovers_blobs_that_are_far_apart(rng):
    # Random scaling may squeeze a blob's axis and k-means may start badly, so not every partition is perfect.
    partitions = KMeansPartitioner(k=6, n_partitions=8, max_tries=10, min_share=0.99).fit(blobs(200.0), rng, min_size=15)
    scores = [adjusted_rand_score(TRUTH, labels) for labels in partitions]
    assert len(scores) == 8
    assert np.median(scores) == 1.0
    assert min(scores) > 0.6
    assert all(labels.dtype == np.int32 and labels.min() >= 0 and labels.max() < 6 for labels in partitions)


def test_partitions_follow_from_the_stream_and_differ(rng):
    points = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
    first, again = (KMeansPartitioner(k=10, n_partitions=4).fit(points, rng, min_size=1) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({labels.tobytes() for labels in first}) == 4
    fewer = KMeansPartitioner(k=10, n_partitions=2).fit(points, rng, min_size=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, fewer, strict=False))
    other = KMeansPartitioner(k=10, n_partitions=4).fit(points, Rng.from_seed(1), min_size=1)
    assert not np.array_equal(first[0], other[0])


def lloyd(points, k, generator):
    """Three iterations of k-means on every second point and three on all, from its first centers, in double precision."""
    centers, points = torch.from_numpy(first_centers(points, k, generator)).double(), torch.from_numpy(points).double()
    for seen in (points[::2],) * 3 + (points,) * 3:
        labels = torch.cdist(seen, centers).argmin(1)
        centers = torch.stack([seen[labels == name].mean(0) for name in range(k)])
    return torch.cdist(points, centers).argmin(1).numpy()


def test_the_first_partition_is_plain_k_means_and_the_second_is_of_scaled_points(rng):
    points = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
    first, second = KMeansPartitioner(k=10, n_partitions=2).fit(points, rng, min_size=1)

    def start(index):
        return rng.fork("partition", index).fork("attempt", 0).fork("centers").fork("start").numpy()

    np.testing.assert_array_equal(first, lloyd(points.numpy(), 10, start(0)))
    scale = rng.fork("partition", 1).fork("attempt", 0).fork("scale").numpy().random(5, np.float32)
    assert len(set(scale.tolist())) == 5
    np.testing.assert_array_equal(second, lloyd(points.numpy() * scale, 10, start(1)))


def test_with_few_points_a_cluster_every_iteration_looks_at_all_of_them(rng, monkeypatch):
    seen, train = [], faiss.Kmeans.train
    monkeypatch.setattr(faiss.Kmeans, "train", lambda self, x, **given: seen.append((len(x), self.cp.niter)) or train(self, x, **given))
    points = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
    KMeansPartitioner(k=10, n_partitions=2).fit(points, rng, min_size=1)
    assert seen == [(100, 3), (200, 3)] * 2
    seen.clear()
    KMeansPartitioner(k=11, n_partitions=2).fit(points, rng, min_size=1)
    assert seen == [(200, 6)] * 2


def test_one_partition_alone_is_the_best_of_several_starts(rng):
    points = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
    (labels,) = KMeansPartitioner(k=10, n_partitions=1).fit(points, rng, min_size=1)
    centers = rng.fork("partition", 0).fork("attempt", 0).fork("centers")
    starts = [lloyd(points.numpy(), 10, centers.fork("start", number).numpy()) for number in range(10)]
    assert sum(np.array_equal(labels, one) for one in starts) == 1
    assert inertia(points, labels) <= min(inertia(points, one) for one in starts) * 1.02


def inertia(points, labels):
    means = torch.stack([points[labels == name].mean(0) for name in range(labels.max() + 1)])
    return float((points - means[labels]).square().sum())


def test_each_image_is_in_the_cluster_whose_mean_is_nearest(rng):
    points = blobs()
    (labels,) = KMeansPartitioner(k=6, n_partitions=1).fit(points, rng, min_size=1)
    means = torch.stack([points[torch.from_numpy(labels == name)].mean(0) for name in range(6)])
    assert np.array_equal(torch.cdist(points, means).argmin(1).numpy(), labels)


def test_tries_are_bounded_and_the_best_is_kept(rng, monkeypatch):
    drawn = []

    def cluster(self, points, k, rng):
        labels = np.zeros(len(points), np.int32)
        usable = (1, 3, 2, 3)[len(drawn)]
        labels[: 2 * usable] = np.arange(usable).repeat(2)
        drawn.append(rng)
        return labels

    monkeypatch.setattr(KMeansPartitioner, "_cluster", cluster)
    points = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    (labels,) = KMeansPartitioner(k=10, n_partitions=1, max_tries=3).fit(points, rng, min_size=2)
    assert len(set(drawn)) == len(drawn) == 3
    assert len(set(labels.tolist())) == 3


def test_a_good_clustering_is_not_drawn_again(rng, monkeypatch):
    drawn = []
    monkeypatch.setattr(KMeansPartitioner, "_cluster", lambda self, points, k, rng: drawn.append(rng) or TRUTH.astype(np.int32))
    KMeansPartitioner(k=6, n_partitions=3).fit(blobs(), rng, min_size=20)
    assert len(drawn) == 3


def test_a_time_limit_stops_after_at_least_one_and_progress_is_told(rng, monkeypatch):
    seen = []
    assert len(KMeansPartitioner(k=3, n_partitions=9).fit(blobs(), rng, min_size=1, seconds=-1.0)) == 1
    KMeansPartitioner(k=3, n_partitions=2).fit(blobs(), rng, min_size=1, on_progress=lambda *done: seen.append(done))
    assert seen == [(1, 2), (2, 2)]
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    assert len(KMeansPartitioner(k=3, n_partitions=9).fit(blobs(), rng, min_size=1, seconds=3.5)) == 4


def test_what_has_no_clusters_is_refused(rng):
    with pytest.raises(InputError, match="121 clusters need at least 121 images, there are 120; use fewer clusters"):
        KMeansPartitioner(k=121).fit(blobs(), rng, min_size=1)
    with pytest.raises(InputError, match=r"all \d+ embeddings are the same"):
        KMeansPartitioner(k=2).fit(torch.full((10, 3), 0.25), rng, min_size=1)
    with pytest.raises(InputError):
        KMeansPartitioner(k=2).fit(torch.zeros(0, 3), rng, min_size=1)


def test_several_numbers_of_clusters_are_taken_in_turn(rng):
    points = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
    spread = KMeansPartitioner(k=(4, 9, 2), n_partitions=5).fit(points, rng, min_size=1)
    assert [len(set(labels.tolist())) for labels in spread] == [4, 9, 2, 4, 9]
    alone = KMeansPartitioner(k=9, n_partitions=2).fit(points, rng, min_size=1)
    np.testing.assert_array_equal(spread[1], alone[1])
    with pytest.raises(InputError, match="201 clusters need at least 201 images, there are 200"):
        KMeansPartitioner(k=(4, 201)).fit(points, rng, min_size=1)
