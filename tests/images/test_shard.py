"""How encoded images are found in tars, Parquet files and saved datasets, and what is refused."""

import io
import json
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from umeta.core.errors import InputError
from umeta.images import shard
from umeta.images.cache import build_cache
from umeta.images.pixels import BadImageError
from umeta.images.source import FolderSource, open_source

PIXELS = [np.random.default_rng(i).integers(0, 256, (9 + i, 11, 3), dtype=np.uint8) for i in range(5)]


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


ENCODED = [png(pixels) for pixels in PIXELS]


def save_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def save_parquet(path, columns, **options):
    pq.write_table(pa.table(columns), path, **options)
    return path


def save_dataset(path, tables):
    """As `datasets.Dataset.save_to_disk` lays it out."""
    path.mkdir()
    names = [f"data-{i:05}-of-{len(tables):05}.arrow" for i in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with pa.OSFile(str(path / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names], "_split": "train"}))
    return path


def structs(encoded):
    return pa.array(
        [{"bytes": one, "path": f"{i}.png"} for i, one in enumerate(encoded)], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )


def assert_all_found(source, pixels=PIXELS):
    assert len(source) == len(pixels)
    for index, expected in enumerate(pixels):
        np.testing.assert_array_equal(source.read(index), expected)


def test_a_tar_gives_its_images_in_order_and_leaves_labels_alone(tmp_path):
    members = [
        (f"{i:03}.{kind}", content) for i, one in enumerate(ENCODED) for kind, content in (("cls", b"7"), ("png", one), ("json", b"{}"))
    ]
    source = open_source(save_tar(tmp_path / "a.tar", [*members, ("._x.png", b"companion")]))
    assert_all_found(source)
    assert source.item_name(2) == "a.tar/002.png"
    assert source.name == str(tmp_path / "a.tar")


@pytest.mark.parametrize("column", ["image", "picture"])
@pytest.mark.parametrize("wrap", [lambda one: pa.array(one, pa.binary()), lambda one: pa.array(one, pa.large_binary()), structs])
def test_the_one_column_that_holds_encoded_images_is_found(tmp_path, column, wrap):
    path = save_parquet(tmp_path / "a.parquet", {"label": list(range(5)), column: wrap(ENCODED)}, row_group_size=2)
    source = open_source(path)
    assert_all_found(source)
    assert source.item_name(3) == "a.parquet/row 3"


def test_among_several_columns_of_bytes_the_usual_name_is_taken(tmp_path):
    source = open_source(save_parquet(tmp_path / "a.parquet", {"mask": [b"no"] * 5, "img": ENCODED}))
    assert_all_found(source)


def test_blocks_are_read_once_while_they_are_kept_and_only_a_few_are_kept(tmp_path):
    path = save_parquet(tmp_path / "a.parquet", {"image": [ENCODED[0]] * 12}, row_group_size=2)
    table, reads = shard.open_parquet(path), []
    inner = table._read_block
    table._read_block = lambda number, column: reads.append(number) or inner(number, column)
    for index in range(12):
        table.encoded(index)
    assert reads == [0, 1, 2, 3, 4, 5]
    table.encoded(11)
    assert reads == [0, 1, 2, 3, 4, 5]
    table.encoded(0)
    assert reads == [0, 1, 2, 3, 4, 5, 0]


def test_a_folder_of_shards_is_read_in_path_order(tmp_path):
    (tmp_path / "sub").mkdir()
    save_tar(tmp_path / "sub/b.tar", [("1.png", ENCODED[2])])
    save_parquet(tmp_path / "a.parquet", {"image": ENCODED[:2]})
    save_tar(tmp_path / "c.tar", [("1.png", ENCODED[4])])
    assert_all_found(open_source(tmp_path), [PIXELS[0], PIXELS[1], PIXELS[4], PIXELS[2]])


def test_a_folder_with_images_of_its_own_is_a_folder_of_images(tmp_path):
    save_tar(tmp_path / "b.tar", [("1.png", ENCODED[2])])
    (tmp_path / "x.png").write_bytes(ENCODED[0])
    assert isinstance(open_source(tmp_path), FolderSource)


def test_a_saved_dataset_is_read_file_after_file(tmp_path):
    tables = [pa.table({"image": structs(ENCODED[:3]), "label": [0, 1, 2]}), pa.table({"image": structs(ENCODED[3:]), "label": [3, 4]})]
    assert_all_found(open_source(save_dataset(tmp_path / "saved", tables)))


def test_a_cache_is_the_same_from_a_folder_and_from_shards(tmp_path):
    (tmp_path / "folder").mkdir()
    for i, one in enumerate(ENCODED):
        (tmp_path / f"folder/{i}.png").write_bytes(one)
    save_tar(tmp_path / "a.tar", [(f"{i}.png", one) for i, one in enumerate(ENCODED)])
    one, other = (build_cache(open_source(tmp_path / name), tmp_path / f"cache-{name}") for name in ("folder", "a.tar"))
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.hashes, other.hashes)


def test_rows_without_bytes_and_damaged_members_are_bad_images(tmp_path):
    source = open_source(save_parquet(tmp_path / "a.parquet", {"image": [ENCODED[0], None, b"", ENCODED[1][:200], b"<svg/>"]}))
    for index, message in ((1, "no bytes in this row"), (2, "empty file"), (3, "damaged"), (4, "not an image")):
        with pytest.raises(BadImageError, match=message):
            source.read(index)
    only_path = pa.array([{"bytes": None, "path": "/etc/passwd"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    source = open_source(save_parquet(tmp_path / "b.parquet", {"image": only_path}))
    with pytest.raises(BadImageError, match="no bytes"):
        source.read(0)


def test_a_changed_shard_has_another_fingerprint(tmp_path):
    path = save_tar(tmp_path / "a.tar", [("1.png", ENCODED[0])])
    before = open_source(path).fingerprint()
    assert open_source(path).fingerprint() == before
    save_tar(path, [("1.png", ENCODED[0]), ("2.png", ENCODED[1])])
    assert open_source(path).fingerprint() != before


def broken(tmp_path, kind):
    if kind == "no column":
        return save_parquet(tmp_path / "a.parquet", {"label": [1], "name": ["x"]})
    if kind == "two columns":
        return save_parquet(tmp_path / "a.parquet", {"left": [b"x"], "right": [b"y"]})
    if kind == "other schema":
        save_parquet(tmp_path / "a.parquet", {"image": ENCODED})
        save_parquet(tmp_path / "b.parquet", {"image": structs(ENCODED)})
        return tmp_path
    if kind == "compressed tar":
        return save_tar(tmp_path / "a.tar", [("1.png", ENCODED[0])], "w:gz")
    if kind == "not a parquet":
        (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
        return tmp_path / "a.parquet"
    if kind == "empty":
        return save_tar(tmp_path / "a.tar", [("1.txt", b"x")])
    if kind == "splits":
        (tmp_path / "d").mkdir()
        (tmp_path / "d/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
        for split in ("train", "test"):
            save_dataset(tmp_path / "d" / split, [pa.table({"image": structs(ENCODED)})])
        return tmp_path / "d"
    path = save_dataset(tmp_path / "saved", [pa.table({"image": structs(ENCODED)})])
    names = {"missing file": "gone.arrow", "outside": "../data.arrow", "damaged state": None}
    (path / "state.json").write_text(json.dumps({"_data_files": [{"filename": names[kind]}]}) if names[kind] else "{}")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no column", r"no column holds encoded images; name the one that does `image`.*found label \(int64\), name \(string\)"),
        ("two columns", r"columns left, right may hold encoded images"),
        ("other schema", r"b.parquet: its images are in column `image` \(struct\), those of a.parquet in column `image` \(binary\)"),
        ("compressed tar", "cannot be read as an uncompressed tar"),
        ("not a parquet", "cannot be read as a Parquet file"),
        ("empty", r"no images found in .*a.tar"),
        ("splits", r"holds several splits; give one: .*d/test, .*d/train"),
        ("missing file", "names gone.arrow, which is not an Arrow file in this folder"),
        ("outside", "which is not an Arrow file in this folder"),
        ("damaged state", "does not name the data files"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path, kind, message):
    with pytest.raises(InputError, match=message):
        open_source(broken(tmp_path, kind))


def test_a_missing_pyarrow_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    path = save_parquet(tmp_path / "a.parquet", {"image": ENCODED})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"pip install 'umeta\[parquet\]'"):
        open_source(path)
