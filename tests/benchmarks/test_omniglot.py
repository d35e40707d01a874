import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umeta.benchmarks import omniglot as omniglot_module
from umeta.benchmarks.omniglot import Omniglot, decode_drawing, read_archive
from umeta.core.errors import InputError

SPLITS = ("meta_train", "meta_val", "meta_test")
CHARACTERS = {
    "cactus": (1100, 100, 423),
    "umtra": (1200, 100, 323),
    "vinyals": (1028, 172, 423),
    "vinyals-rot4": (4112, 688, 1692),
    "lake": (964, 0, 659),
}
POOL_CHARACTERS = {"cactus": 1100, "umtra": 1200, "vinyals": 1200, "vinyals-rot4": 4800, "lake": 964}


@pytest.fixture(scope="module")
def data():
    root = os.environ.get("UMETA_DATA")
    if not root:
        pytest.skip("UMETA_DATA is unset: Omniglot's splits, rotations, Lake's runs and the packed file were not checked")
    return Path(root)


@pytest.fixture(scope="module")
def packed(data):
    path = data / "omniglot.npz"
    if not path.is_file():
        pytest.skip(f"no omniglot.npz in {data}: the reader was not compared with the packed file")
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays.files}


def stacked(source):
    return np.stack([source.read(i) for i in range(len(source))])[:, None]


def hashes(images):
    return {image.tobytes() for image in images}


def official_png(bitmap):
    """Write a 105x105 bitmap, ink = 1, as the official files have it: one bit per pixel, ink black."""
    stream = io.BytesIO()
    Image.fromarray(np.where(bitmap > 0, 0, 255).astype(np.uint8)).convert("1").save(stream, "PNG")
    return stream.getvalue()


def write_tree(folder, bitmaps):
    for (alphabet, character, number), drawings in bitmaps.items():
        place = folder / alphabet / character
        place.mkdir(parents=True)
        for drawer, bitmap in enumerate(drawings, 1):
            (place / f"{number:04d}_{drawer:02d}.png").write_bytes(official_png(bitmap))


def zip_tree(folder):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png"), reverse=True):
            archive.write(file, file.relative_to(folder.parent))
        archive.writestr(f"__MACOSX/{folder.name}/Greek/character01/._0001_01.png", b"a resource fork")
    return path


def synthetic_bitmaps(n_drawings=20):
    def drawing(seed):
        bitmap = np.zeros((105, 105), np.uint8)
        bitmap[10 + seed : 40, 5 : 50 + seed] = 1
        return bitmap

    keys = [("Greek", "character02", 2), ("Greek", "character01", 1), ("Angelic", "character01", 3)]
    return {key: [drawing(key[2] + 2 * d % 25) for d in range(n_drawings)] for key in keys}


@pytest.mark.data
@pytest.mark.parametrize("protocol", CHARACTERS)
def test_splits_have_the_published_sizes_and_share_nothing(data, protocol):
    splits = {name: Omniglot(data).split(protocol, name) for name in SPLITS}
    assert tuple(split.n_classes for split in splits.values()) == CHARACTERS[protocol]
    for split in splits.values():
        assert split.images.shape == (20 * split.n_classes, 1, 28, 28)
        assert np.bincount(split.labels, minlength=1).max(initial=0) in (0, 20)
        assert split.labels.tolist() == sorted(split.labels.tolist())
    names = [name for split in splits.values() for name in split.class_names]
    assert len(set(names)) == len(names) == sum(CHARACTERS[protocol])
    assert not hashes(splits["meta_test"].images) & hashes(splits["meta_train"].images)
    assert not hashes(splits["meta_test"].images) & hashes(splits["meta_val"].images)


@pytest.mark.data
@pytest.mark.parametrize("protocol", CHARACTERS)
def test_pool_has_the_training_images_and_no_label(data, protocol):
    pool = stacked(Omniglot(data).pool(protocol))
    assert pool.shape == (20 * POOL_CHARACTERS[protocol], 1, 28, 28)
    assert not hashes(pool) & hashes(Omniglot(data).split(protocol, "meta_test").images)
    train = Omniglot(data).split(protocol, "meta_train").images
    assert hashes(train) <= hashes(pool)
    assert not np.array_equal(pool[: len(train)], train)
    assert np.array_equal(pool, stacked(Omniglot(data).pool(protocol)))


@pytest.mark.data
def test_cactus_and_umtra_follow_one_permutation(data, packed):
    order = np.random.RandomState(0).permutation(1623)
    names = [f"{a}/character{c:02d}" for a, c in zip(packed["alphabet"], packed["character"], strict=True)]
    for protocol, bounds in {"cactus": (0, 1100, 1200, 1623), "umtra": (0, 1200, 1300, 1623)}.items():
        for split, start, stop in zip(SPLITS, bounds[:-1], bounds[1:], strict=True):
            got = Omniglot(data).split(protocol, split)
            assert got.class_names == tuple(names[i] for i in order[start:stop])
            assert np.array_equal(got.images[:20, 0], packed["images28"][order[start]])
            assert np.array_equal(got.images[-20:, 0], packed["images28"][order[stop - 1]])


@pytest.mark.data
def test_vinyals_split_equals_the_published_list(data, packed):
    for split, value in zip(SPLITS, ("train", "val", "test"), strict=True):
        expected = packed["images28"][packed["vinyals"] == value].reshape(-1, 1, 28, 28)
        assert np.array_equal(Omniglot(data).split("vinyals", split).images, expected)


@pytest.mark.data
def test_lake_trains_on_the_background_set(data, packed):
    expected = packed["images28"][packed["split"] == "background"].reshape(-1, 1, 28, 28)
    assert np.array_equal(Omniglot(data).split("lake", "meta_train").images, expected)


@pytest.mark.data
def test_each_rotation_is_a_class(data):
    upright = Omniglot(data).split("vinyals", "meta_test")
    turned = Omniglot(data).split("vinyals-rot4", "meta_test")
    character = 7
    assert turned.class_names[4 * character : 4 * character + 4] == tuple(
        f"{upright.class_names[character]}/rot{angle}" for angle in ("000", "090", "180", "270")
    )
    drawing = upright.images[20 * character + 3, 0]
    found = [turned.images[20 * (4 * character + turn) + 3, 0] for turn in range(4)]
    assert np.array_equal(found[0], drawing)
    assert np.array_equal(found[1], drawing.T[::-1])  # counterclockwise: the right edge becomes the top
    assert np.array_equal(found[2], drawing[::-1, ::-1])
    assert np.array_equal(found[3], drawing.T[:, ::-1])


@pytest.mark.data
def test_lake_runs_are_twenty_tasks_whose_images_are_all_in_the_evaluation_set(data):
    tasks = Omniglot(data).fixed_tasks("lake")
    held_out = Omniglot(data).split("lake", "meta_test")
    class_of = {image.tobytes(): label for image, label in zip(held_out.images, held_out.labels, strict=True)}
    assert len(tasks) == 20
    for task in tasks:
        assert task.support.n_classes == task.query.n_classes == 20
        assert task.support.images.shape == task.query.images.shape == (20, 1, 28, 28)
        assert task.support.labels.tolist() == list(range(20))
        assert sorted(task.query.labels.tolist()) == list(range(20))
        support = [class_of[image.tobytes()] for image in task.support.images]
        assert [class_of[image.tobytes()] for image in task.query.images] == [support[i] for i in task.query.labels]
        alphabets = {held_out.class_names[i].split("/")[0] for i in support}
        assert len(alphabets) == 1
    # By hand, from run01/class_labels.txt: item01 is class08, item02 class09, item20 class16.
    assert tasks[0].query.labels[[0, 1, 19]].tolist() == [7, 8, 15]


@pytest.mark.data
def test_other_protocols_fix_no_task(data):
    assert Omniglot(data).fixed_tasks("cactus") == ()


@pytest.mark.data
def test_official_archives_decode_to_the_packed_images(packed, tmp_path):
    chosen = [0, 19, 20, 1000]
    bitmaps = np.unpackbits(packed["packed"][chosen], axis=-1, count=105 * 105).reshape(-1, 20, 105, 105)
    keys = [(str(packed["alphabet"][i]), f"character{packed['character'][i]:02d}", packed["character_id"][i]) for i in chosen]
    folder = tmp_path / "images_background"
    write_tree(folder, dict(zip(keys, bitmaps, strict=True)))
    for path in (folder, zip_tree(folder)):
        got = read_archive(path)
        order = sorted(range(4), key=lambda i: keys[i][:2])
        assert got.names == tuple("/".join(keys[i][:2]) for i in order)
        assert np.array_equal(got.images, packed["images28"][chosen][order])


def test_archive_reader_sorts_characters_and_drawers(tmp_path):
    folder = tmp_path / "images_evaluation"
    bitmaps = synthetic_bitmaps()
    write_tree(folder, bitmaps)
    extracted, zipped = read_archive(folder), read_archive(zip_tree(folder))
    assert extracted.names == zipped.names == ("Angelic/character01", "Greek/character01", "Greek/character02")
    assert np.array_equal(extracted.images, zipped.images)
    for drawer in range(20):
        expected = decode_drawing(official_png(bitmaps[("Greek", "character01", 1)][drawer]), "test")
        assert np.array_equal(extracted.images[1, drawer], expected)


def test_area_average_by_hand():
    bitmap = np.zeros((105, 105), np.uint8)
    bitmap[:15, :15] = 1  # 15 pixels are 4 cells of 3.75
    image = decode_drawing(official_png(bitmap), "test")
    assert (image[:4, :4] == 255).all()
    assert image.sum() == 255 * 16
    assert decode_drawing(official_png(1 - bitmap), "test")[0, 0] == 0


@pytest.mark.parametrize("layout", ["extracted", "zipped", "in a folder omniglot"])
def test_official_archives_serve_where_the_packed_file_is_absent(layout, tmp_path, monkeypatch):
    monkeypatch.setattr(omniglot_module, "N_CHARACTERS", 6)
    monkeypatch.setattr(omniglot_module, "N_BACKGROUND", 3)
    place = tmp_path / "omniglot" if layout == "in a folder omniglot" else tmp_path
    for name in ("images_background", "images_evaluation"):
        folder = (tmp_path / "source" if layout == "zipped" else place) / name
        write_tree(folder, {(f"{name[7]}_{a}", c, i): b for (a, c, i), b in synthetic_bitmaps().items()})
        if layout == "zipped":
            zip_tree(folder).rename(tmp_path / f"{name}.zip")
    train = Omniglot(tmp_path).split("lake", "meta_train")
    assert train.class_names == ("b_Angelic/character01", "b_Greek/character01", "b_Greek/character02")
    assert Omniglot(tmp_path).split("lake", "meta_test").class_names[0] == "e_Angelic/character01"


def test_lake_runs_under_another_folder(tmp_path):
    run = tmp_path / "all_runs" / "run07"
    for name, offset in {"training/class01": 0, "training/class02": 30, "test/item01": 31, "test/item02": 1}.items():
        bitmap = np.zeros((105, 105), np.uint8)
        bitmap[offset : offset + 20] = 1
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / f"{name}.png").write_bytes(official_png(bitmap))
    (run / "class_labels.txt").write_text(
        "run07/test/item01.png run07/training/class02.png\nrun07/test/item02.png run07/training/class01.png\n"
    )
    (task,) = Omniglot(tmp_path).fixed_tasks("lake")
    assert task.support.class_names == ("run07/training/class01", "run07/training/class02")
    assert task.query.labels.tolist() == [1, 0]
    assert task.query.images[0, 0, 9:13].min() == 255
    (run / "test" / "item02.png").unlink()
    omniglot_module._load_lake_runs.cache_clear()
    with pytest.raises(InputError, match=r"item02\.png is missing"):
        Omniglot(tmp_path).fixed_tasks("lake")


def test_bad_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"omniglot not found in .*images_background\.zip"):
        Omniglot(tmp_path).pool("cactus")
    with pytest.raises(InputError, match=r"Lake's runs not found in .*all_runs\.zip"):
        Omniglot(tmp_path).fixed_tasks("lake")
    (tmp_path / "omniglot.npz").write_bytes(b"not an archive")
    with pytest.raises(InputError, match=r"omniglot\.npz: not a packed Omniglot file"):
        Omniglot(tmp_path).pool("cactus")
    (tmp_path / "images_background.zip").write_bytes(b"PK truncated")
    with pytest.raises(InputError, match=r"images_background\.zip: not a readable zip file"):
        read_archive(tmp_path / "images_background.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no Alphabet/characterNN"):
        read_archive(tmp_path / "empty")
    write_tree(tmp_path / "short", synthetic_bitmaps(n_drawings=19))
    with pytest.raises(InputError, match="has 19 drawings, not 20"):
        read_archive(tmp_path / "short")


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (28, "has 2 characters, not 1623"),
        (14, r"images28 is uint8 \[2, 20, 14, 14\], expected uint8 \[n, 20, 28, 28\]"),
    ],
)
def test_a_packed_file_of_other_contents_is_refused(side, message, tmp_path):
    images = np.zeros((2, 20, side, side), np.uint8)
    np.savez(tmp_path / "omniglot.npz", images28=images, alphabet=np.array(["Greek"] * 2), character=np.array([1, 2]))
    with pytest.raises(InputError, match=message):
        Omniglot(tmp_path).split("lake", "meta_train")


def test_a_folder_of_runs_without_a_run_is_named(tmp_path):
    (tmp_path / "all_runs").mkdir()
    with pytest.raises(InputError, match=r"all_runs: no runNN/class_labels\.txt inside"):
        Omniglot(tmp_path).fixed_tasks("lake")


def test_a_drawing_of_another_size_or_none_at_all_is_refused():
    with pytest.raises(InputError, match="x: 28x28 pixels, expected 105x105"):
        decode_drawing(official_png(np.zeros((28, 28))), "x")
    with pytest.raises(InputError, match="x: not a readable image"):
        decode_drawing(official_png(np.zeros((105, 105)))[:60], "x")


def test_queries_per_protocol():
    assert [Omniglot().n_query(protocol) for protocol in Omniglot.protocols] == [5, 15, 15, 15, 15]
