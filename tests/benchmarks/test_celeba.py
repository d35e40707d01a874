import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umeta.benchmarks import celeba as module
from umeta.benchmarks.celeba import AttributeImages, Celeba
from umeta.benchmarks.oracle import labeled_tasks
from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.images.episode import Pool
from umeta.images.reading import read_stacked

SPLITS = ("meta_train", "meta_val", "meta_test")
N_TRAIN, N_VAL, N_TEST = 6, 2, 4


@pytest.fixture(scope="module")
def data():
    root = os.environ.get("UMETA_DATA")
    if not root or not Path(root, "celeba10k.npz").is_file():
        pytest.skip("UMETA_DATA is unset or has no packed CelebA: its counts and attributes were not checked")
    return Path(root)


def jpeg(seed, size):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


def made_up(size):
    """Twelve photos with 40 attributes, in order: file name, attributes, JPEG."""
    attributes = np.random.default_rng(1).random((N_TRAIN + N_VAL + N_TEST, 40)) < 0.5
    return [(f"{i + 1:06d}.jpg", row, jpeg(i, size)) for i, row in enumerate(attributes)]


def write_packed(root, photos):
    files, attributes, streams = zip(*photos, strict=True)
    np.savez(
        root / "celeba10k.npz",
        jpeg=np.frombuffer(b"".join(streams), np.uint8),
        offset=np.cumsum([0, *map(len, streams)]),
        filename=np.array(files),
        attr=np.stack(attributes),
    )


def write_official(root, photos, zipped):
    (root / "img_align_celeba").mkdir(parents=True)
    partition = [0] * N_TRAIN + [1] * N_VAL + [2] * N_TEST
    (root / "list_eval_partition.txt").write_text("".join(f"{f} {part}\n" for (f, _, _), part in zip(photos, partition, strict=True)))
    rows = [f"{file} " + " ".join(" 1" if one else "-1" for one in attributes) for file, attributes, _ in photos]
    heading = " ".join(f"Attribute_{i}" for i in range(40))
    (root / "list_attr_celeba.txt").write_text(f"{len(photos)}\n{heading} \n" + "\n".join(reversed(rows)) + "\n")
    for file, _, stream in photos:
        (root / "img_align_celeba" / file).write_bytes(stream)
    if zipped:
        with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as archive:
            for path in (root / "img_align_celeba").iterdir():
                archive.write(path, f"img_align_celeba/{path.name}")
                path.unlink()
        (root / "img_align_celeba").rmdir()


@pytest.fixture
def small(monkeypatch):
    bounds = np.cumsum([0, N_TRAIN, N_VAL, N_TEST]).tolist()
    monkeypatch.setattr(module, "N_PHOTOS", {"packed10k": 12, "cactus": 12})
    monkeypatch.setattr(module, "PACKED", {name: slice(*bounds[i : i + 2]) for i, name in enumerate(SPLITS)})


@pytest.fixture(params=["packed", "official", "zipped", "in a folder celeba"])
def form(request, tmp_path, small):
    """The folder, the protocol that its files serve, and what was written there."""
    packed = request.param == "packed"
    photos = made_up((89, 109) if packed else (178, 218))
    if packed:
        write_packed(tmp_path, photos)
    else:
        write_official(tmp_path / "celeba" if "folder" in request.param else tmp_path, photos, request.param == "zipped")
    return tmp_path, "packed10k" if packed else "cactus", photos


def cropped(stream):
    image = Image.open(io.BytesIO(stream))
    top = (image.height - image.width) // 2
    square = image.crop((0, top, image.width, top + image.width))
    return np.moveaxis(np.asarray(square.resize((84, 84), Image.Resampling.LANCZOS, reducing_gap=3.0)), -1, 0)


def test_each_split_has_its_photos_and_its_own_attributes(form):
    root, protocol, photos = form
    bounds = np.cumsum([0, N_TRAIN, N_VAL, N_TEST])
    for name, start, stop, columns in zip(SPLITS, bounds[:-1], bounds[1:], (slice(0, 20), slice(20, 30), slice(30, 40)), strict=True):
        split = Celeba(root).split(protocol, name)
        assert np.array_equal(split.images, np.stack([cropped(stream) for _, _, stream in photos[start:stop]]))
        assert np.array_equal(split.attributes, np.stack([row[columns] for _, row, _ in photos[start:stop]]))


def test_the_pool_is_the_training_photos_in_another_order(form):
    root, protocol, photos = form
    pool = Celeba(root).pool(protocol)
    train = {file: stream for file, _, stream in photos[:N_TRAIN]}
    assert sorted(pool.files) == sorted(train)
    assert list(pool.files) != list(train)
    for file, image in zip(pool.files, read_stacked(pool, 84, 3), strict=True):
        assert np.array_equal(image, cropped(train[file]))


def test_a_training_photo_that_is_also_a_test_photo_is_not_in_the_pool(tmp_path, small):
    photos = made_up((89, 109))
    photos[2] = (*photos[2][:2], photos[-1][2])
    write_packed(tmp_path, photos)
    assert sorted(Celeba(tmp_path).pool("packed10k").files) == [f"{i:06d}.jpg" for i in (1, 2, 4, 5, 6)]


def test_labelings_by_hand():
    # All eight photos of three attributes: photo i has the bits of i, the first attribute the highest.
    attributes = np.array([[bool(i & bit) for bit in (4, 2, 1)] for i in range(8)])
    found = AttributeImages(np.zeros((8, 3, 2, 2), np.uint8), attributes)
    assert found.n_classes == 8
    assert found.labelings.tolist() == [
        [0, -1, -1, -1, -1, -1, -1, 1],
        [-1, 0, -1, -1, -1, -1, 1, -1],
        [-1, -1, 0, -1, -1, 1, -1, -1],
        [-1, -1, -1, 0, 1, -1, -1, -1],
    ]


def test_every_triple_and_pattern_is_one_labeling_of_opposites():
    attributes = np.random.default_rng(0).random((60, 5)) < 0.5
    labelings = AttributeImages(np.zeros((60, 3, 1, 1), np.uint8), attributes).labelings
    assert labelings.shape == (4 * 10, 60)
    expected = set()
    for first in range(5):
        for second in range(first + 1, 5):
            for third in range(second + 1, 5):
                for signs in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)):
                    label = [-1] * 60
                    for photo, row in enumerate(attributes[:, [first, second, third]].astype(int)):
                        if tuple(row) == signs:
                            label[photo] = 0
                        elif tuple(1 - row) == signs:
                            label[photo] = 1
                    expected.add(tuple(label))
    assert {tuple(row) for row in labelings.tolist()} == expected


def test_tasks_are_drawn_only_where_both_classes_are_large_enough():
    # Attribute 3 is rare: triples with it have a class of at most 6 photos.
    attributes = np.random.default_rng(0).random((200, 4)) < np.array([0.5, 0.5, 0.5, 0.02])
    labeled = AttributeImages(np.zeros((200, 3, 1, 1), np.uint8), attributes)
    tasks = labeled_tasks(labeled, Pool(labeled.images), n_way=2, k_shot=5, n_query=5)
    assert tasks.partitions.n_partitions == 4
    for one, other in tasks.sample_index(Rng.from_seed(0), 50):
        assert len({*one, *other}) == 20
        (pattern,), (opposite,) = ({tuple(attributes[i, :3]) for i in side} for side in (one, other))
        assert all(a != b for a, b in zip(pattern, opposite, strict=True))
    with pytest.raises(InputError, match="there are 2 classes, so 3-way tasks are not possible"):
        labeled_tasks(labeled, Pool(labeled.images), n_way=3, k_shot=1, n_query=1)
    most = max(np.bincount(row[row >= 0], minlength=2).min() for row in labeled.labelings)
    with pytest.raises(InputError, match=f"2 classes have at most {most}; use at most {most - 5} queries"):
        labeled_tasks(labeled, Pool(labeled.images), n_way=2, k_shot=5, n_query=100)


def test_attributes_that_do_not_fit_are_refused():
    images = np.zeros((2, 3, 1, 1), np.uint8)
    for attributes in (np.zeros((2, 5), int), np.zeros((3, 5), bool), np.zeros(2, bool)):
        with pytest.raises(InputError, match=r"attributes must be bool \[2, n_attributes\]"):
            AttributeImages(images, attributes)


def test_a_packed_file_without_attributes_says_so(tmp_path, small):
    write_packed(tmp_path, made_up((178, 218)))
    with np.load(tmp_path / "celeba10k.npz") as arrays:
        rest = {name: arrays[name] for name in arrays.files if name != "attr"}
    np.savez(tmp_path / "celeba10k.npz", **rest)
    assert len(Celeba(tmp_path).pool("packed10k")) > 0, "the pool needs none"
    with pytest.raises(InputError, match=r"celeba10k\.npz has no array attr; it has .*jpeg.*; fetch it again"):
        Celeba(tmp_path).split("packed10k", "meta_test")


def test_bad_files_are_named(tmp_path, monkeypatch):
    benchmark = Celeba(tmp_path)
    with pytest.raises(InputError, match=r"celeba not found in .*no celeba10k\.npz.*--protocol cactus"):
        benchmark.pool("packed10k")
    with pytest.raises(InputError, match=r"no img_align_celeba\.zip.*list_attr_celeba\.txt.*https://") as caught:
        benchmark.pool("cactus")
    assert str(tmp_path / "celeba") in str(caught.value) and "\n" not in str(caught.value)
    write_official(tmp_path, made_up((178, 218)), zipped=False)
    with pytest.raises(InputError, match=r"img_align_celeba has 12 photos, not 202599"):
        benchmark.pool("cactus")
    monkeypatch.setattr(module, "N_PHOTOS", {"cactus": 12})
    (tmp_path / "img_align_celeba" / "000012.jpg").unlink()
    with pytest.raises(InputError, match=r"000012\.jpg is missing"):
        benchmark.split("cactus", "meta_test")
    attributes = tmp_path / "list_attr_celeba.txt"
    attributes.write_text(attributes.read_text().replace("000007.jpg", "x.jpg"))
    with pytest.raises(InputError, match=r"1 of 2 photos have no attributes, the first is 000007\.jpg; get"):
        benchmark.split("cactus", "meta_val")
    attributes.write_text(attributes.read_text() + "y.jpg 1 1\n")
    with pytest.raises(InputError, match=r"list_attr_celeba\.txt: a photo has other than 40 attributes"):
        benchmark.split("cactus", "meta_train")
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg\n")
    with pytest.raises(InputError, match=r"list_eval_partition\.txt: a line is not a file name and 0, 1 or 2"):
        benchmark.pool("cactus")
    (tmp_path / "list_eval_partition.txt").unlink()
    with pytest.raises(InputError, match=r"no list_eval_partition\.txt"):
        benchmark.pool("cactus")


@pytest.mark.data
def test_the_packed_photos_are_split_by_index_and_the_pool_has_no_test_photo(data):
    pool = Celeba(data).pool("packed10k")
    assert sorted(pool.files) == [f"{i:06d}.jpg" for i in range(1, 8001)]
    assert list(pool.files) != sorted(pool.files)
    test = Celeba(data).split("packed10k", "meta_test")
    assert test.images.shape == (1000, 3, 84, 84)
    assert test.attributes.shape == (1000, 10)
    assert not {image.tobytes() for image in test.images} & {image.tobytes() for image in read_stacked(pool, 84, 3)}


@pytest.mark.data
def test_most_patterns_of_the_test_attributes_make_tasks(data):
    test = Celeba(data).split("packed10k", "meta_test")
    tasks = labeled_tasks(test, Pool(test.images), n_way=2, k_shot=5, n_query=5)
    assert 100 < tasks.partitions.n_partitions < 480
    # Photo 9001 by the official list: columns 31 (smiling) and 39 (young).
    with np.load(data / "celeba10k.npz") as arrays:
        names, expected = arrays["attr_name"][30:].tolist(), arrays["attr"][9000:, 30:]
    assert (names[1], names[-1]) == ("Smiling", "Young")
    assert np.array_equal(test.attributes, expected)
