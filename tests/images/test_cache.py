"""A source becomes one array on disk: in order, once per image, all or nothing."""

import csv
import json
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umeta.core.errors import ArtifactError, InputError, UmetaError
from umeta.images import cache as cache_module
from umeta.images.cache import ImageCache, build_cache
from umeta.images.pixels import BadImageError, content_hash, fit_square
from umeta.images.source import ArraySource, FolderSource, open_npz

GRAY = np.random.default_rng(0).integers(0, 256, (50, 12, 12), dtype=np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (5, 40, 30, 3), dtype=np.uint8)


class CountingSource(ArraySource):
    """An array that knows how far it has been read, and can have bad images."""

    def __init__(self, images, bad=()):
        super().__init__(images, "counting")
        self.bad, self.n_read, self.lock = set(bad), 0, threading.Lock()

    def read(self, index):
        with self.lock:
            self.n_read += 1
        if index in self.bad:
            raise BadImageError("broken on purpose")
        return super().read(index)


def write_pngs(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:03d}.png")
    return FolderSource(folder)


def left_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_gray_squares_keep_their_size_order_and_bits(tmp_path):
    cache = build_cache(ArraySource(GRAY, "a"), tmp_path / "out", n_workers=3)
    np.testing.assert_array_equal(cache.images[:, 0], GRAY)
    np.testing.assert_array_equal(cache.hashes[7], np.frombuffer(content_hash(GRAY[7]), np.uint8))
    assert cache.names == [str(index) for index in range(50)]
    assert isinstance(cache.images, np.memmap)
    assert not cache.images.flags.writeable
    assert left_in(tmp_path) == ["out"]
    assert left_in(cache.path) == ["cache.json", "hashes.npy", "images.npy", "names.json", "skipped.csv"]
    info = json.loads((tmp_path / "out/cache.json").read_text())
    assert info == cache.info
    expected = {"format": 1, "n_images": 50, "n_skipped": 0, "n_duplicates": 0, "shape": [50, 1, 12, 12]}
    assert {key: info[key] for key in expected} == expected
    assert (info["mode"], info["source"]) == ("gray", "a")


@pytest.mark.parametrize(
    ("images", "options", "shape"),
    [
        (np.zeros((2, 84, 84), np.uint8), {}, (1, 84, 84)),
        (np.zeros((2, 85, 85), np.uint8), {}, (1, 28, 28)),
        (np.zeros((2, 84, 83), np.uint8), {}, (1, 28, 28)),
        (COLOR, {}, (3, 32, 32)),
        (COLOR, {"color_size": 9}, (3, 9, 9)),
        (GRAY, {"kept_up_to": 11}, (1, 28, 28)),
        (COLOR, {"channels": 1}, (1, 28, 28)),
        (COLOR[:, :30], {}, (3, 30, 30)),
        (GRAY, {"channels": 3, "image_size": 5}, (3, 5, 5)),
        (np.zeros((2, 3, 400), np.uint8), {"image_size": 16}, (1, 16, 16)),
    ],
)
def test_the_shape_follows_the_images_unless_given(tmp_path, images, options, shape):
    assert build_cache(ArraySource(images, "a"), tmp_path / "out", **options).images.shape[1:] == shape


def test_mixed_sizes_and_modes_share_one_array(tmp_path):
    source = write_pngs(tmp_path / "in", [GRAY[0], COLOR[0], GRAY[1, :6], COLOR[1, :3]])
    cache = build_cache(source, tmp_path / "out")
    assert cache.images.shape == (4, 3, 32, 32)
    np.testing.assert_array_equal(cache.images[1], fit_square(COLOR[0], 32, 3))
    assert cache.info["mode"] == "color"


def test_a_color_image_that_the_sample_missed_becomes_luma_and_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_N_SAMPLED", 2)
    source = write_pngs(tmp_path / "in", [GRAY[0], COLOR[0], GRAY[1]])
    cache = build_cache(source, tmp_path / "out")
    assert cache.images.shape == (3, 1, 12, 12)
    assert cache.info["n_color_as_gray"] == 1
    np.testing.assert_array_equal(cache.images[1], fit_square(COLOR[0], 12, 1))


def test_duplicates_are_kept_once_or_all_and_counted(tmp_path):
    source = ArraySource(GRAY[[0, 1, 0, 2, 1, 0]], "a")
    once = build_cache(source, tmp_path / "once")
    np.testing.assert_array_equal(once.images[:, 0], GRAY[:3])
    assert once.names == ["0", "1", "3"]
    every = build_cache(source, tmp_path / "all", drop_duplicates=False)
    assert len(every.images) == 6
    assert once.info["n_duplicates"] == every.info["n_duplicates"] == 3


def test_the_same_images_hash_alike_from_a_folder_and_from_an_npz(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.repeat(GRAY[:4, ..., None], 3, axis=3))
    folder = build_cache(write_pngs(tmp_path / "in", GRAY[:4]), tmp_path / "a", image_size=8)
    archive = build_cache(open_npz(tmp_path / "x.npz"), tmp_path / "b", channels=3)
    assert len(np.unique(folder.hashes, axis=0)) == 4
    np.testing.assert_array_equal(folder.hashes, archive.hashes)


def test_bad_images_are_named_and_the_rest_goes_on(tmp_path):
    source = write_pngs(tmp_path / "in", GRAY[:3])
    odd = 'a",\nb.png'
    (tmp_path / "in" / odd).write_bytes(b"")
    raw = os.fsdecode(b"\xff.png")
    (tmp_path / "in" / raw).write_bytes(b"text")
    cache = build_cache(FolderSource(tmp_path / "in"), tmp_path / "out")
    with (tmp_path / "out/skipped.csv").open(newline="", errors="surrogateescape", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["name", "reason"], [odd, "empty file"], [raw, "not an image of a known format"]]
    assert (cache.info["n_images"], cache.info["n_skipped"]) == (3, 2)
    assert len(source) == 3


def test_more_than_half_bad_is_refused_and_nothing_has_the_final_name(tmp_path):
    half = CountingSource(GRAY[:4], bad=[0, 1])
    assert len(build_cache(half, tmp_path / "half").images) == 2
    with pytest.raises(InputError, match=r"3 of 4 images are bad, more than half; .*out\.skipped\.csv"):
        build_cache(CountingSource(GRAY[:4], bad=[0, 1, 3]), tmp_path / "out")
    assert left_in(tmp_path) == ["half", "out.skipped.csv"]
    assert (tmp_path / "out.skipped.csv").read_text().count("broken on purpose") == 3


def test_no_readable_image_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no images found in counting: none of 4 files could be read"):
        build_cache(CountingSource(GRAY[:4], bad=range(4)), tmp_path / "out")
    assert left_in(tmp_path) == ["out.skipped.csv"]


@pytest.mark.parametrize("options", [{"channels": 2}, {"image_size": 0}, {"n_workers": 0}])
def test_settings_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(InputError, match=next(iter(options))):
        build_cache(ArraySource(GRAY, "a"), tmp_path / "out", **options)


def test_a_place_that_cannot_be_written_is_exit_1_and_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UmetaError, match=r"cannot write the image cache .*file/out") as caught:
        build_cache(ArraySource(GRAY, "a"), tmp_path / "file/out")
    assert caught.value.exit_code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full_header(file, shape):
        os.dup2(os.open("/dev/full", os.O_WRONLY), file.fileno())

    monkeypatch.setattr(cache_module, "_write_header", full_header)
    with pytest.raises(UmetaError, match=r"cannot write .*No space left"):
        build_cache(ArraySource(GRAY, "a"), tmp_path / "out")
    assert left_in(tmp_path) == []


def test_an_interruption_leaves_nothing_and_keeps_the_earlier_cache(tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    build_cache(ArraySource(GRAY, "a"), tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        build_cache(ArraySource(GRAY, "a"), tmp_path / "out", image_size=6, on_progress=interrupt)
    assert left_in(tmp_path) == ["out"]
    assert ImageCache.open(tmp_path / "out").images.shape == (50, 1, 12, 12)


def test_a_foreign_folder_or_file_is_never_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="exists and is not an image cache"):
        build_cache(ArraySource(GRAY, "a"), tmp_path / "out")
    with pytest.raises(InputError, match="exists and is not an image cache"):
        build_cache(ArraySource(GRAY, "a"), tmp_path / "out/thesis.tex")
    assert (tmp_path / "out/thesis.tex").read_text() == "years of work"


def test_a_cache_is_reused_only_for_the_same_source_and_settings(tmp_path):
    out = tmp_path / "out"
    build_cache(CountingSource(GRAY), out)
    again = CountingSource(GRAY)
    assert len(build_cache(again, out).images) == 50
    assert again.n_read == 0
    changed = CountingSource(255 - GRAY)
    np.testing.assert_array_equal(build_cache(changed, out).images[:, 0], 255 - GRAY)
    assert build_cache(changed, out, image_size=6).images.shape[-1] == 6
    (out / "images.npy").write_bytes(b"damaged")
    np.testing.assert_array_equal(build_cache(changed, out).images[:, 0], 255 - GRAY)
    assert left_in(tmp_path) == ["out"]


def test_progress_counts_every_image_once(tmp_path):
    seen = []
    build_cache(CountingSource(GRAY, bad=[3, 49]), tmp_path / "out", on_progress=lambda *pair: seen.append(pair))
    assert seen == [(16, 50), (32, 50), (48, 50), (50, 50)]


def test_another_number_of_workers_gives_the_same_bytes(tmp_path):
    for n_workers in (1, 4):
        build_cache(ArraySource(COLOR, "a"), tmp_path / str(n_workers), n_workers=n_workers)
    for name in ("images.npy", "hashes.npy", "names.json", "cache.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()


def test_decompression_warnings_are_not_shown(tmp_path):
    source = write_pngs(tmp_path / "in", GRAY[:2])
    Image.new("1", (10_000, 10_000)).save(tmp_path / "in/huge.png")
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        cache = build_cache(FolderSource(tmp_path / "in"), tmp_path / "out")
    assert (len(source), cache.info["n_skipped"], shown) == (2, 1, [])
    assert "huge.png,too large: over 50 megapixels" in (tmp_path / "out/skipped.csv").read_text()


@pytest.mark.parametrize("name", ["cache.json", "images.npy", "hashes.npy", "names.json"])
def test_a_missing_or_truncated_part_is_an_artifact_error(tmp_path, name):
    out = build_cache(ArraySource(GRAY, "a"), tmp_path / "out").path
    content = (out / name).read_bytes()
    (out / name).write_bytes(content[:-20])
    with pytest.raises(ArtifactError, match=name):
        _ = ImageCache.open(out).names
    (out / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        ImageCache.open(out)


def test_parts_that_do_not_fit_each_other_are_an_artifact_error(tmp_path):
    out = build_cache(ArraySource(GRAY, "a"), tmp_path / "out").path
    (out / "names.json").write_text('["one"]')
    with pytest.raises(ArtifactError, match=r"names\.json"):
        _ = ImageCache.open(out).names
    info = json.loads((out / "cache.json").read_text())
    (out / "cache.json").write_text(json.dumps(info | {"format": 2}))
    with pytest.raises(ArtifactError, match="not an image cache of format 1"):
        ImageCache.open(out)
    (out / "cache.json").write_text(json.dumps(info | {"shape": [49, 1, 12, 12]}))
    with pytest.raises(ArtifactError, match="inconsistent"):
        ImageCache.open(out)
    (out / "cache.json").write_text(json.dumps(info))
    np.save(out / "hashes.npy", np.zeros((3, 16), np.uint8))
    with pytest.raises(ArtifactError, match="inconsistent"):
        ImageCache.open(out)
    np.save(out / "images.npy", np.zeros((50, 1, 12, 12)))
    with pytest.raises(ArtifactError, match="float64"):
        ImageCache.open(out)


def test_long_images_are_counted_and_their_middles_kept(tmp_path):
    wide = np.zeros((8, 40, 3), np.uint8)
    wide[:, 16:24] = 200
    for name, pixels in (("wide", wide), ("tall", wide.transpose(1, 0, 2)), ("twice", np.full((8, 16, 3), 9, np.uint8))):
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / f"{name}.png")
    cache = build_cache(FolderSource(tmp_path), tmp_path / "cache", image_size=8, channels=3)
    assert cache.info["n_elongated"] == 2
    assert [image.min() for image in cache.images] == [200, 9, 200]
