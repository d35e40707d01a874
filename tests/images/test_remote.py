"""Folders, tars and Parquet files behind a URL are the sources that they are on disk, and what is told when their storage is gone."""

import sys
import tarfile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from umeta.core.errors import InputError, UmetaError
from umeta.images import reading
from umeta.images.cache import build_cache
from umeta.images.remote import RemotePath
from umeta.images.source import open_source
from umeta.recipes.request import read_source, resolve

N = 40


@pytest.fixture
def on_disk(tmp_path):
    """The same images three times: as files, in two tars, in two Parquet files."""
    for name in ("photos/a", "tars", "tables"):
        (tmp_path / name).mkdir(parents=True)
    images = np.random.default_rng(0).integers(256, size=(N, 12, 9, 3), dtype=np.uint8)
    files = []
    for index, image in enumerate(images):
        files.append(tmp_path / f"photos/{'a/' if index < 10 else ''}{index:02}.png")
        Image.fromarray(image).save(files[-1])
    (tmp_path / "photos/a/._00.png").write_bytes(b"companion")
    (tmp_path / "photos/b.txt").write_bytes(b"no image")
    for number, part in enumerate((files[:25], files[25:])):
        with tarfile.open(tmp_path / f"tars/{number}.tar", "w") as archive:
            for file in part:
                archive.add(file, file.name)
        table = pa.table({"label": [7] * len(part), "image": [file.read_bytes() for file in part]})
        pq.write_table(table, tmp_path / f"tables/{number}.parquet", row_group_size=4)
    return tmp_path


@pytest.fixture
def memory(on_disk):
    """The same in fsspec's memory."""
    system = fsspec.filesystem("memory")
    system.put(str(on_disk), "/bucket", recursive=True)
    yield system
    system.rm("/bucket", recursive=True)


@pytest.mark.parametrize("name", ["photos", "tars", "tars/1.tar", "tables", "tables/0.parquet"])
@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_a_source_behind_a_url_is_the_source_on_disk(tmp_path, on_disk, memory, name, protocol):
    url = f"memory://bucket/{name}" if protocol == "memory" else f"file://{on_disk / name}/"
    source, _ = read_source(resolve(url, steps=1))
    there, here = build_cache(source, tmp_path / "there"), build_cache(open_source(on_disk / name), tmp_path / "here")
    assert there.info["source"] == url.rstrip("/")
    np.testing.assert_array_equal(there.images, here.images)
    np.testing.assert_array_equal(there.hashes, here.hashes)
    assert there.names == here.names
    assert getattr(source, "n_other", 2) == 2


@pytest.mark.parametrize("name", ["photos", "tars", "tables"])
def test_a_file_that_was_rewritten_has_another_fingerprint(memory, name):
    before = open_source(f"memory://bucket/{name}").fingerprint()
    assert open_source(f"memory://bucket/{name}").fingerprint() == before
    first = memory.find(f"/bucket/{name}")[-2]
    memory.pipe(first, memory.cat(first))
    assert open_source(f"memory://bucket/{name}").fingerprint() != before


def test_of_an_opened_tar_only_the_image_that_is_asked_for_is_read(memory, monkeypatch):
    source, reads = open_source("memory://bucket/tars/0.tar"), []
    size = len(memory.cat("/bucket/photos/a/03.png"))
    monkeypatch.setattr(
        type(memory), "cat_file", lambda self, path, start, end: reads.append(end - start) or self.store[path].getvalue()[start:end]
    )
    monkeypatch.setattr(type(memory), "open", lambda *_, **__: pytest.fail("the whole file was opened"))
    assert source.read(3).shape == (12, 9, 3)
    assert reads == [size]


@pytest.mark.parametrize("name", ["photos", "tars", "tables"])
def test_storage_that_vanishes_on_the_way_ends_the_run_in_one_line(tmp_path, memory, name, monkeypatch):
    monkeypatch.setattr(reading, "_CHUNK", 4)  # so that not all is read by then
    source = open_source(f"memory://bucket/{name}")

    def vanish(done, n):
        if done == 16:
            for path in memory.find(f"/bucket/{name}"):
                memory.store[path].truncate(0)  # for whoever has it open
            memory.rm(f"/bucket/{name}", recursive=True)

    message = rf"memory://bucket/{name}(/\d.\w+)? cannot be read.*; see that its storage is there and lets you in, then give the same"
    with pytest.raises(UmetaError, match=message) as caught:
        build_cache(source, tmp_path / "cache", n_workers=1, on_progress=vanish)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()
    memory.pipe(f"/bucket/{name}/x", b"")


def test_a_folder_on_disk_that_vanishes_is_told_of_too(tmp_path, on_disk):
    source = open_source(on_disk / "photos")
    (on_disk / "photos").rename(on_disk / "unplugged")
    with pytest.raises(UmetaError, match=r"photos cannot be read; see that its storage is there"):
        build_cache(source, tmp_path / "cache")


def test_one_file_that_is_gone_is_a_bad_image(tmp_path, memory):
    source = open_source("memory://bucket/photos")
    memory.rm("/bucket/photos/20.png")
    assert build_cache(source, tmp_path / "cache").info["n_skipped"] == 1
    assert "20.png,no such file" in (tmp_path / "cache/skipped.csv").read_text()


def test_what_cannot_be_opened_is_refused_with_what_to_do(memory, monkeypatch):
    with pytest.raises(InputError, match=r"memory://bucket/nothing is not there, or is not a source of images; give a folder"):
        open_source("memory://bucket/nothing")
    with pytest.raises(InputError, match=r"memory://bucket/photos/20.png is not there, or is not a source"):
        open_source("memory://bucket/photos/20.png")
    memory.pipe("/bucket/texts/a.txt", b"")
    with pytest.raises(InputError, match=r"no images found in memory://bucket/texts"):
        open_source("memory://bucket/texts")
    with pytest.raises(InputError, match=r"nosuch://x: cannot be opened \(Protocol not known: nosuch\); give a URL that fsspec knows"):
        open_source("nosuch://x")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(InputError, match=r"s3://b/x: .*; install what reads s3, gs and http by: pip install 'umeta\[remote\]'"):
        open_source("s3://b/x")


def test_storage_that_does_not_let_us_in_is_told_in_one_line(memory, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("Access\nDenied")

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "info", refuse)
        with pytest.raises(UmetaError, match=r"memory://bucket/photos cannot be read \(Access Denied\); see that its storage"):
            open_source("memory://bucket/photos")


def test_shards_of_different_schema_are_refused_with_file_and_column(memory):
    table = pa.table({"picture": [b"x"]})
    with memory.open("/bucket/tables/2.parquet", "wb") as file:
        pq.write_table(table, file)
    with pytest.raises(
        InputError,
        match=r"memory://bucket/tables/2.parquet: its images are in column `picture` \(binary\), those of 0.parquet in column `image`",
    ):
        open_source("memory://bucket/tables")


def test_a_place_is_named_by_its_url():
    place = RemotePath.of("memory://bucket/tars/") / "0.tar"
    assert (str(place), place.name, place.suffix) == ("memory://bucket/tars/0.tar", "0.tar", ".tar")
