import numpy as np
import pytest

from umeta.benchmarks.benchmark import (
    FixedTask,
    LabeledImages,
    benchmark_names,
    class_major_labels,
    data_root,
    get_benchmark,
    scored_on,
    unlabeled_order,
    unlabeled_pool,
)
from umeta.core.errors import InputError


def labeled(labels, names=("a", "b", "c")):
    labels = np.array(labels, np.int64)
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return LabeledImages(images, labels, names)


def test_every_registered_benchmark_carries_its_name_and_a_default_protocol():
    assert {"glyphs", "mini-imagenet", "omniglot"} <= set(benchmark_names())
    for name in benchmark_names():
        benchmark = get_benchmark(name)
        assert benchmark.name == name
        assert benchmark.protocols
        assert min(benchmark.ways) >= 2 and min(benchmark.shots) >= 1
        assert all(benchmark.n_query(protocol) >= 1 for protocol in benchmark.protocols)


def test_unknown_benchmark_names_the_nearest():
    with pytest.raises(InputError) as caught:
        get_benchmark("Omniglott")
    assert str(caught.value).startswith("unknown benchmark 'Omniglott': did you mean 'omniglot'? There are: ")
    assert "glyphs" in str(caught.value)


def test_a_protocol_known_by_its_own_name_is_scored_on_under_it():
    for given, protocol in (("lake", None), ("lake", "lake"), ("omniglot", "lake")):
        benchmark, asked = scored_on(given, protocol)
        assert (benchmark.name, asked) == ("omniglot", "lake")
    benchmark, asked = scored_on("glyphs", None)
    assert (benchmark.name, asked) == ("glyphs", None)
    with pytest.raises(InputError, match="lake is the protocol lake of omniglot; leave out --protocol cactus, or give --on omniglot"):
        scored_on("lake", "cactus")
    with pytest.raises(InputError, match="unknown benchmark 'glyph'"):
        scored_on("glyph", None)


def test_a_name_near_nothing_gets_the_whole_list_only():
    with pytest.raises(InputError) as caught:
        get_benchmark("zzz")
    assert "did you mean" not in str(caught.value)
    assert "omniglot" in str(caught.value)


@pytest.mark.parametrize("name", benchmark_names())
@pytest.mark.parametrize("method", ["n_query", "pool", "fixed_tasks"])
def test_unknown_protocol_is_refused_before_any_file_is_read(name, method, monkeypatch):
    monkeypatch.delenv("UMETA_DATA", raising=False)
    with pytest.raises(InputError, match=f"unknown protocol of {name} 'scrips'.*[Tt]here are"):
        getattr(get_benchmark(name), method)("scrips")


def test_data_root_says_what_to_fetch_and_where_to_put_it(monkeypatch, tmp_path):
    monkeypatch.delenv("UMETA_DATA", raising=False)
    with pytest.raises(InputError) as caught:
        get_benchmark("omniglot").pool("cactus")
    for part in (
        "UMETA_DATA",
        "images_background.zip",
        "images_evaluation.zip",
        "https://",
        "export UMETA_DATA=FOLDER",
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("UMETA_DATA", str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"absent is not a folder"):
        data_root()
    monkeypatch.setenv("UMETA_DATA", str(tmp_path))
    assert data_root() == tmp_path


def test_subset_relabels_in_the_order_given():
    part = labeled([0, 1, 2, 1, 0]).subset([2, 0])
    assert part.class_names == ("c", "a")
    assert part.n_classes == 2
    assert part.images.ravel().tolist() == [0, 2, 4]
    assert part.labels.tolist() == [1, 0, 1]
    assert part.labels.dtype == np.int64


@pytest.mark.parametrize(("classes", "message"), [([3], "class 3 is not"), ([-1], "class -1"), ([1, 1], "twice")])
def test_subset_refuses_classes_that_make_no_sense(classes, message):
    with pytest.raises(InputError, match=message):
        labeled([0, 1, 2]).subset(classes)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1], ("a", "b", "c"), "class 'c' has no image"),
        ([0, 3], ("a", "b"), "0 to 3"),
        ([0, -1], ("a", "b"), "-1 to 0"),
        ([0, 1], ("a", "a"), "different"),
        ([0], (), r"\[0, 0\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, names, message):
    with pytest.raises(InputError, match=message):
        labeled(labels, names)


def test_shapes_and_types_are_checked():
    image = np.zeros((2, 1, 4, 4), np.uint8)
    label = np.zeros(2, np.int64)
    for images, labels in [(image[:, 0], label), (image.astype(float), label), (image, label[:1]), (image, label > 0)]:
        with pytest.raises(InputError, match=r"must be (uint8|int64)"):
            LabeledImages(images, labels, ("a",))


def test_a_split_that_a_protocol_lacks_is_an_empty_one():
    nothing = LabeledImages(np.zeros((0, 1, 2, 2), np.uint8), np.zeros(0, np.int64), ())
    assert nothing.n_classes == 0


def test_support_and_query_name_the_same_classes():
    FixedTask(labeled([0, 1, 2]), labeled([2, 1, 0]))
    with pytest.raises(InputError, match="same classes"):
        FixedTask(labeled([0, 1, 2]), labeled([0, 1, 2], ("b", "a", "c")))


def test_class_major_labels_by_hand():
    assert class_major_labels(3, 2).tolist() == [0, 0, 1, 1, 2, 2]


def test_pool_leaves_out_what_is_held_out_and_hides_the_order():
    images = np.arange(200, dtype=np.uint8).reshape(-1, 1, 2, 1)
    held_out = images[[3, 50]].copy()
    pool = unlabeled_pool("drawings", images, held_out)
    shown = np.stack([pool.read(i) for i in range(len(pool))])
    assert pool.name == "drawings"
    assert sorted(shown[:, 0, 0].tolist()) == [i for i in range(0, 200, 2) if i not in (6, 100)]
    assert (shown[:, 1] == shown[:, 0] + 1).all()
    assert (np.diff(shown[:, 0, 0].astype(int)) > 0).mean() < 0.7
    assert pool.fingerprint() == unlabeled_pool("drawings", images, held_out).fingerprint()


def test_the_order_of_a_pool_is_the_same_for_the_same_images_and_leaves_out_every_copy_of_a_held_out_one():
    images = [b"a", b"b", b"c", b"b", b"d"]
    assert sorted(unlabeled_order(images, [b"b"]).tolist()) == [0, 2, 4]
    assert unlabeled_order(images, [b"b"]).tolist() == unlabeled_order(iter(images), iter([b"b"])).tolist()
    assert len(unlabeled_order(images, images)) == 0
