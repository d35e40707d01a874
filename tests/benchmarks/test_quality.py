import math

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

from umeta.benchmarks.benchmark import LabeledImages
from umeta.benchmarks.quality import agreement, classes_of, mean_agreement, pair_quality, pairs_of
from umeta.images.pixels import content_hash


def test_purity_and_information_by_hand():
    found = agreement(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1]))
    assert found.purity == pytest.approx(5 / 6)
    of_class = -(1 / 3 * math.log(1 / 3) + 2 / 3 * math.log(2 / 3))
    joint = -(1 / 3 * math.log(1 / 3) + 1 / 6 * math.log(1 / 6) + 1 / 2 * math.log(1 / 2))
    assert found.nmi == pytest.approx(2 * (math.log(2) + of_class - joint) / (math.log(2) + of_class))


def test_information_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    classes = rng.integers(7, size=500)
    clusters = np.where(rng.random(500) < 0.6, classes, rng.integers(9, size=500))
    assert agreement(clusters, classes).nmi == pytest.approx(normalized_mutual_info_score(classes, clusters))


def test_extremes():
    classes = np.array([0, 0, 1, 1])
    assert agreement(np.array([5, 5, 2, 2]), classes) == agreement(classes, classes)
    assert agreement(classes, classes).purity == 1.0 and agreement(classes, classes).nmi == pytest.approx(1.0)
    assert agreement(np.zeros(4, int), classes).nmi == 0.0
    assert agreement(np.zeros(4, int), np.zeros(4, int)).nmi == 0.0


def test_images_without_a_cluster_or_a_class_do_not_count():
    clusters, classes = np.array([0, 0, 1, -1, 1]), np.array([0, 0, 1, 0, -1])
    assert agreement(clusters, classes).purity == 1.0
    with pytest.raises(ValueError, match="no image"):
        agreement(np.array([-1, 0]), np.array([0, -1]))


def test_the_mean_over_partitions():
    classes = np.array([0, 0, 1, 1])
    assert mean_agreement([classes, np.zeros(4, int)], classes).purity == pytest.approx(0.75)


def test_classes_are_found_by_content_in_whatever_order_the_pool_is():
    rng = np.random.default_rng(0)
    gray, color = (rng.integers(256, size=(6, c, 4, 4), dtype=np.uint8) for c in (1, 3))
    labels = np.array([0, 0, 1, 1, 2, 2])
    for images in (gray, color):
        first, second = LabeledImages(images[:4], labels[:4], ("a", "b")), LabeledImages(images[4:], labels[4:] - 2, ("c",))
        order = [5, 0, 3]
        pixels = [image[0] if len(image) == 1 else np.moveaxis(image, 0, -1) for image in images[order]]
        hashes = np.stack([np.frombuffer(content_hash(one), np.uint8) for one in [*pixels, pixels[0] + 1]])
        assert classes_of(hashes, [first, second]).tolist() == [2, 0, 1, -1]
        assert classes_of(hashes, [first]).tolist() == [-1, 0, 1, -1]


def test_pairs_found_right_and_missed():
    truth = pairs_of(np.array([0, 0, 0, 1]))
    assert truth.sum() == 6
    found = pairs_of(np.array([0, 0, -1, 0]))
    assert pair_quality(found, truth) == {"per_image": 1.5, "precision": 0.3333, "recall": 0.3333}
