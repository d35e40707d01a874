import io
import os
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umeta.benchmarks import mini_imagenet as module
from umeta.benchmarks.mini_imagenet import MiniImagenet
from umeta.core.errors import InputError
from umeta.images.reading import read_stacked

SPLITS = ("meta_train", "meta_val", "meta_test")
WNIDS = {"train": ("n03", "n01"), "val": ("n05",), "test": ("n02", "n04")}


@pytest.fixture(scope="module")
def data():
    root = os.environ.get("UMETA_DATA")
    if not root or not Path(root, "miniimagenet_test.npz").is_file():
        pytest.skip("UMETA_DATA is unset or has no packed miniImageNet: its counts and labels were not checked")
    return Path(root)


def jpeg(seed, size=(84, 84)):
    generator = np.random.default_rng(seed)
    stream = io.BytesIO()
    Image.fromarray(generator.integers(0, 255, (6, 6, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


def decoded(data):
    return np.moveaxis(np.asarray(Image.open(io.BytesIO(data))), -1, 0)


def made_up(size=(84, 84)):
    """Three photos of each class, in the lists' order: file name, class, JPEG."""
    seed = iter(range(100))
    return {part: [(f"{wnid}0{i}.jpg", wnid, jpeg(next(seed), size)) for wnid in wnids for i in range(3)] for part, wnids in WNIDS.items()}


def write_packed(root, photos):
    for part, rows in photos.items():
        files, wnids, streams = zip(*rows, strict=True)
        classes = sorted(set(wnids))
        np.savez(
            root / f"miniimagenet_{part}.npz",
            jpeg=np.frombuffer(b"".join(streams), np.uint8),
            offset=np.cumsum([0, *map(len, streams)]),
            filename=np.array(files),
            label=np.array([classes.index(wnid) for wnid in wnids], np.int16),
            wnid=np.array(classes),
        )


def write_official(root, photos, zipped=False):
    (root / "images").mkdir(parents=True)
    for part, rows in photos.items():
        (root / f"{part}.csv").write_text("filename,label\n" + "".join(f"{file},{wnid}\n" for file, wnid, _ in rows))
        for file, _, stream in rows:
            (root / "images" / file).write_bytes(stream)
    if zipped:
        with zipfile.ZipFile(root / "images.zip", "w") as archive:
            for path in sorted((root / "images").iterdir(), reverse=True):
                archive.write(path, f"mini/images/{path.name}")
                path.unlink()
        (root / "images").rmdir()


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(module, "N_PER_CLASS", 3)
    monkeypatch.setattr(module, "N_CLASSES", {"meta_train": 2, "meta_val": 1, "meta_test": 2})


@pytest.fixture(params=["packed", "official", "zipped", "in a folder mini-imagenet"])
def root(request, tmp_path, small):
    if request.param == "packed":
        write_packed(tmp_path, made_up())
    else:
        write_official(tmp_path / "mini-imagenet" if "folder" in request.param else tmp_path, made_up(), request.param == "zipped")
    return tmp_path


def test_both_forms_give_the_same_photos_and_classes(root):
    benchmark = MiniImagenet(root)
    for part, rows in made_up().items():
        split = benchmark.split("ravi", f"meta_{part}")
        assert split.class_names == tuple(sorted(WNIDS[part]))
        assert [split.class_names[label] for label in split.labels] == [wnid for _, wnid, _ in rows]
        assert np.array_equal(split.images, np.stack([decoded(stream) for _, _, stream in rows]))


def test_the_pool_is_the_training_photos_in_another_order_and_is_decoded_when_read(root, monkeypatch):
    opened = []
    monkeypatch.setattr(module.Photos, "read", lambda self, index, read=module.Photos.read: opened.append(index) or read(self, index))
    pool = MiniImagenet(root).pool("ravi")
    assert opened == []
    rows = {file: stream for file, _, stream in made_up()["train"]}
    assert sorted(pool.item_name(i) for i in range(len(pool))) == sorted(rows)
    assert [pool.item_name(i) for i in range(len(pool))] != list(rows)
    for i, image in enumerate(read_stacked(pool, 84, 3)):
        assert np.array_equal(image, decoded(rows[pool.item_name(i)]))


def test_a_training_photo_that_is_also_a_test_photo_is_not_in_the_pool(tmp_path, small):
    photos = made_up()
    photos["train"][4] = (*photos["train"][4][:2], photos["test"][1][2])
    write_packed(tmp_path, photos)
    pool = MiniImagenet(tmp_path).pool("ravi")
    assert len(pool) == 5
    assert "n0101.jpg" not in pool.files
    assert len(MiniImagenet(tmp_path).split("ravi", "meta_train").images) == 6


def test_the_fingerprint_tells_whether_the_files_changed(root):
    before = MiniImagenet(root).pool("ravi").fingerprint()
    assert MiniImagenet(root).pool("ravi").fingerprint() == before
    for path in root.rglob("*"):
        if path.suffix in (".npz", ".zip", ".jpg"):
            os.utime(path, ns=(1, 1))
    assert MiniImagenet(root).pool("ravi").fingerprint() != before


def test_a_photo_of_another_size_is_squeezed_not_cropped(tmp_path, small):
    photos = made_up(size=(120, 90))
    write_official(tmp_path, photos)
    image = MiniImagenet(tmp_path).split("ravi", "meta_val").images[0]
    whole = Image.open(io.BytesIO(photos["val"][0][2])).resize((84, 84), Image.Resampling.LANCZOS)
    assert np.array_equal(image, np.moveaxis(np.asarray(whole), -1, 0))


def test_bad_files_are_named(tmp_path, monkeypatch):
    benchmark = MiniImagenet(tmp_path)
    with pytest.raises(InputError, match=r"mini-imagenet not found in .*images/.*train\.csv") as caught:
        benchmark.pool("ravi")
    assert str(tmp_path / "mini-imagenet") in str(caught.value) and "\n" not in str(caught.value)
    write_official(tmp_path, made_up())
    with pytest.raises(InputError, match=r"train\.csv has 2 classes of 3 photos, not 64 of 600"):
        benchmark.pool("ravi")
    monkeypatch.setattr(module, "N_PER_CLASS", 3)
    monkeypatch.setattr(module, "N_CLASSES", {"meta_train": 2, "meta_val": 1, "meta_test": 2})
    (tmp_path / "images" / "n0301.jpg").write_bytes(b"\xff\xd8 no photo")
    with pytest.raises(InputError, match=r"images: n0301\.jpg is not a readable image"):
        benchmark.split("ravi", "meta_train")
    (tmp_path / "images" / "n0301.jpg").unlink()
    with pytest.raises(InputError, match=r"images: n0301\.jpg is missing or damaged"):
        benchmark.pool("ravi")
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"train\.csv has no folder images beside it"):
        benchmark.pool("ravi")
    (tmp_path / "images.zip").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"images\.zip: not a readable zip file"):
        benchmark.pool("ravi")
    (tmp_path / "val.csv").write_text("image,class\n1.jpg,n05\n")
    with pytest.raises(InputError, match=r"val\.csv: not a list with the columns filename and label"):
        benchmark.split("ravi", "meta_val")


def test_a_damaged_packed_file_is_named(tmp_path, small):
    write_packed(tmp_path, made_up())
    path = tmp_path / "miniimagenet_val.npz"
    with np.load(path) as arrays:
        content = dict(arrays)
    np.savez(path, **content | {"offset": content["offset"] + 1})
    with pytest.raises(InputError, match=r"val\.npz: 4 offsets up to .* do not fit 3 photos"):
        MiniImagenet(tmp_path).split("ravi", "meta_val")
    np.savez(path, jpeg=content["jpeg"])
    with pytest.raises(InputError, match=r"val\.npz has no array offset or filename or label or wnid; it has jpeg; fetch it again"):
        MiniImagenet(tmp_path).split("ravi", "meta_val")


@pytest.mark.data
@pytest.mark.parametrize(
    ("split", "n_classes", "ends"), [("meta_val", 16, ("n01855672", "n09256479")), ("meta_test", 20, ("n01930112", "n07613480"))]
)
def test_splits_have_the_published_classes_named_as_the_files_are(data, split, n_classes, ends):
    photos, wnids = MiniImagenet(data)._photos(split)
    classes, counts = np.unique(wnids, return_counts=True)
    assert (classes[0], classes[-1]) == ends
    assert counts.tolist() == [600] * n_classes
    assert all(file.startswith(wnid) for file, wnid in zip(photos.files, wnids, strict=True))
    assert photos.read(n_classes * 600 - 1).shape == (84, 84, 3)


@pytest.mark.data
def test_the_pool_has_the_training_classes_only_and_its_order_tells_nothing(data):
    pool = MiniImagenet(data).pool("ravi")
    classes = [file[:9] for file in pool.files]
    assert len(classes) == 38_400
    assert len(set(classes)) == 64
    assert not set(classes) & {*MiniImagenet(data)._photos("meta_val")[1], *MiniImagenet(data)._photos("meta_test")[1]}
    assert np.mean([a == b for a, b in pairwise(classes)]) == pytest.approx(1 / 64, abs=0.003)
