import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from umeta.benchmarks import mnist as module
from umeta.benchmarks.mnist import Mnist
from umeta.core.errors import InputError

SPLITS = {"meta_train": 50_000, "meta_val": 10_000, "meta_test": 10_000}


@pytest.fixture(scope="module")
def data():
    root = os.environ.get("UMETA_DATA")
    if not root or not Path(root, "mnist.npz").is_file():
        pytest.skip("UMETA_DATA is unset or has no packed MNIST: its counts, labels and hashes were not checked")
    return Path(root)


def made_up():
    """50 training images, of which the last 20 are validation's, and 30 test images; every digit in each part."""
    images = np.random.default_rng(0).integers(0, 255, (80, 28, 28), np.uint8)
    labels = (np.arange(80) * 7 % 10).astype(np.uint8)
    return {"train": (images[:50], labels[:50]), "t10k": (images[50:], labels[50:])}


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_packed(root, parts):
    (x_train, y_train), (x_test, y_test) = parts["train"], parts["t10k"]
    np.savez(root / "mnist.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def write_idx(root, parts, form):
    root.mkdir(exist_ok=True)
    for part, arrays in parts.items():
        for kind, array in zip(("images-idx3", "labels-idx1"), arrays, strict=True):
            if form == "gz":
                (root / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
            else:
                name = f"{part}-{kind}-ubyte"
                (root / (name.replace("-idx", ".idx") if form == "dotted" else name)).write_bytes(idx(array))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, "N_IMAGES", {"train": 50, "t10k": 30})
    monkeypatch.setattr(module, "N_VALIDATION", 20)


@pytest.fixture(params=["packed", "gz", "plain", "dotted", "in a folder mnist"])
def root(request, tmp_path, small):
    if request.param == "packed":
        write_packed(tmp_path, made_up())
    else:
        write_idx(tmp_path / "mnist" if "folder" in request.param else tmp_path, made_up(), request.param)
    return tmp_path


def test_all_forms_give_the_same_splits_in_the_official_order(root):
    (train, train_labels), (test, test_labels) = made_up().values()
    expected = {
        "meta_train": (train[:30], train_labels[:30]),
        "meta_val": (train[30:], train_labels[30:]),
        "meta_test": (test, test_labels),
    }
    for name, (images, labels) in expected.items():
        split = Mnist(root).split("cactus", name)
        assert np.array_equal(split.images[:, 0], images)
        assert split.labels.tolist() == labels.tolist()
        assert split.class_names == tuple("0123456789")


def test_the_pool_is_meta_train_without_order_or_test_images(root):
    pool = Mnist(root).pool("cactus")
    shown = [pool.read(i).tobytes() for i in range(len(pool))]
    train = [image.tobytes() for image in made_up()["train"][0][:30]]
    assert sorted(shown) == sorted(train)
    assert shown != train


def test_a_training_image_that_is_also_a_test_image_is_not_in_the_pool(tmp_path, small):
    parts = made_up()
    parts["train"][0][3] = parts["t10k"][0][8]
    write_packed(tmp_path, parts)
    pool = Mnist(tmp_path).pool("cactus")
    assert len(pool) == 29
    assert parts["t10k"][0][8].tobytes() not in {pool.read(i).tobytes() for i in range(29)}


def test_bad_files_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"mnist not found in .*train-images-idx3-ubyte\.gz.*https://") as caught:
        Mnist(tmp_path).pool("cactus")
    assert str(tmp_path / "mnist") in str(caught.value) and "\n" not in str(caught.value)
    write_idx(tmp_path, made_up(), "gz")
    with pytest.raises(InputError, match=r"has uint8 images \[50, 28, 28\] with labels \[50\], not uint8 \[60000, 28, 28\]"):
        Mnist(tmp_path).split("cactus", "meta_val")
    images = tmp_path / "train-images-idx3-ubyte.gz"
    for content, told in {
        gzip.compress(idx(made_up()["train"][0])[:-1]): "not an IDX file of bytes, or cut short",
        gzip.compress(b"\0\0\x08"): "not an IDX file",
        gzip.compress(idx(made_up()["train"][0]).replace(b"\0\0\x08", b"\0\0\x0d", 1)): "not an IDX file",
        gzip.compress(b"x" * 500)[:-9]: "cannot be read",
        b"no gzip": "cannot be read",
    }.items():
        images.write_bytes(content)
        with pytest.raises(InputError, match=rf"train-images-idx3-ubyte\.gz: {told}"):
            Mnist(tmp_path).split("cactus", "meta_train")
    (tmp_path / "mnist.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"mnist\.npz: not a packed MNIST file"):
        Mnist(tmp_path).split("cactus", "meta_test")


@pytest.mark.data
def test_splits_are_the_official_images_in_the_official_order(data):
    splits = {name: Mnist(data).split("cactus", name) for name in SPLITS}
    assert {name: len(split.images) for name, split in splits.items()} == SPLITS
    assert splits["meta_train"].labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert splits["meta_test"].labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(splits["meta_test"].labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The MD5 of the official files once unpacked, which the arrays must therefore rebuild.
    test = splits["meta_test"]
    assert hashlib.md5(idx(test.labels.astype(np.uint8))).hexdigest() == "27ae3e4e09519cfbb04c329615203637"
    assert hashlib.md5(idx(test.images[:, 0])).hexdigest() == "2646ac647ad5339dbf082846283269ea"


@pytest.mark.data
def test_the_pool_has_no_test_image_and_its_order_tells_nothing(data):
    pool = Mnist(data).pool("cactus")
    assert len(pool) == 50_000
    shown = [pool.read(i).tobytes() for i in range(len(pool))]
    test = Mnist(data).split("cactus", "meta_test").images
    assert not set(shown) & {image.tobytes() for image in test}
    assert shown[:100] != [image.tobytes() for image in Mnist(data).split("cactus", "meta_train").images[:100]]
