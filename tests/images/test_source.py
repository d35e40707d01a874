"""What a folder, an array or an .npz file gives as a source, and what is refused."""

import os

import numpy as np
import pytest
from PIL import Image

from umeta.core.errors import InputError
from umeta.images.source import ArraySource, FolderSource, open_npz, open_source

COLOR = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
GRAY = COLOR[..., 0]


def save(path, pixels=COLOR, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def names_of(source):
    return [source.item_name(index) for index in range(len(source))]


def test_a_folder_is_read_recursively_in_path_order_and_its_names_are_not_labels(tmp_path):
    for name in ("b/2.PNG", "b/10.jpg", "a/c/1.webp", "z.bmp"):
        save(tmp_path / name)
    (tmp_path / "b/notes.txt").write_text("x")
    (tmp_path / "png").write_text("a file whose whole name looks like an extension")
    (tmp_path / "._z.bmp").write_bytes(b"macOS companion")
    source = FolderSource(tmp_path)
    assert names_of(source) == ["a/c/1.webp", "b/10.jpg", "b/2.PNG", "z.bmp"]
    assert source.n_other == 3
    assert source.name == str(tmp_path)
    assert not [attribute for attribute in dir(source) if "label" in attribute]


def test_pipes_dangling_links_and_loops_are_neither_images_nor_a_hang(tmp_path):
    save(tmp_path / "sub/real.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "sub/loop").symlink_to(tmp_path)
    (tmp_path / "pipelink.png").symlink_to(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "sub/real.png")
    source = FolderSource(tmp_path)
    assert names_of(source) == ["link.png", "sub/real.png"]
    assert source.n_other == 4
    assert source.skipped_folders == ("sub/loop",)
    np.testing.assert_array_equal(source.read(0), COLOR)


@pytest.mark.parametrize("name", ["né コ.png", "two\nlines.png", 'quote",comma.png', os.fsdecode(b"\xff.png")])
def test_any_file_name_works(tmp_path, name):
    save(tmp_path / name, format="PNG")
    source = FolderSource(tmp_path)
    assert names_of(source) == [name]
    np.testing.assert_array_equal(source.read(0), COLOR)
    assert source.fingerprint()


def test_an_empty_folder_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"no images found in .* \(looked for \*\.jpg, .*\*\.pgm\)"):
        FolderSource(tmp_path)


def test_the_fingerprint_changes_when_a_file_is_rewritten_or_added(tmp_path):
    path = save(tmp_path / "a.png")
    before = FolderSource(tmp_path).fingerprint()
    assert FolderSource(tmp_path).fingerprint() == before
    save(path, GRAY)
    rewritten = FolderSource(tmp_path).fingerprint()
    save(tmp_path / "b.png")
    assert len({before, rewritten, FolderSource(tmp_path).fingerprint()}) == 3


@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 4, 4), np.float32), np.zeros((4, 4), np.uint8), np.zeros((2, 4, 4, 4), np.uint8)],
)
def test_an_array_of_another_type_or_shape_is_refused_with_what_was_found(images):
    with pytest.raises(InputError, match=rf"must be uint8 .* found {images.dtype} \[[\d, ]+\]"):
        ArraySource(images, "a")


def test_an_array_gives_gray_and_color():
    assert ArraySource(GRAY[None, ..., None], "a").read(0).shape == GRAY.shape
    np.testing.assert_array_equal(ArraySource(COLOR[None], "a").read(0), COLOR)
    with pytest.raises(InputError, match="no images found in a"):
        ArraySource(np.zeros((0, 4, 4), np.uint8), "a")
    assert ArraySource(GRAY[None], "a").fingerprint() != ArraySource(255 - GRAY[None], "a").fingerprint()


def test_an_npz_without_images_is_refused_with_what_it_has(tmp_path):
    np.savez(tmp_path / "x.npz", photos=GRAY, labels=[1])
    with pytest.raises(InputError, match=r"x\.npz: has no array `images`; found labels, photos"):
        open_npz(tmp_path / "x.npz")


def test_an_npz_never_unpickles(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.array([{}], object))
    with pytest.raises(InputError, match=r"x\.npz: cannot be read"):
        open_npz(tmp_path / "x.npz")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_a_damaged_npz_is_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.npz: cannot be read"):
        open_source(tmp_path / "x.npz")


def test_open_source_takes_folders_and_npz_files(tmp_path):
    save(tmp_path / "folder/a.png")
    np.savez(tmp_path / "x.npz", images=COLOR[None], labels=[3])
    assert names_of(open_source(str(tmp_path / "folder"))) == ["a.png"]
    np.testing.assert_array_equal(open_source(tmp_path / "x.npz").read(0), COLOR)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "does not exist; give a folder of images, an .npz"),
        ("model.pkl", "never opened"),
        ("model.PT", "never opened"),
        ("photo.jpg", "single image; give the folder"),
        ("notes.txt", "cannot be used as a source"),
    ],
)
def test_open_source_says_what_it_accepts(tmp_path, name, message):
    if name != "gone":
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        open_source("")
