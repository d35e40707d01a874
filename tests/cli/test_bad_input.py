"""Every row of the table of bad input that the project promises to bear, as a user meets it."""

import csv
import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umeta.images.learners.protonets import ProtoNets


def learn(umeta, make, source, out, *options):
    return umeta("learn", source, "--out", out, *make.QUICK, "--steps", 2, *options)


@pytest.mark.parametrize("what", ["empty", "other files", "all bad"])
def test_no_image(umeta, make, tmp_path, what):
    folder = tmp_path / "photos"
    folder.mkdir()
    if what == "other files":
        (folder / "notes.txt").write_text("x")
    if what == "all bad":
        (folder / "x.png").write_bytes(b"x")
    for answer in (learn(umeta, make, folder, tmp_path / "run"), learn(umeta, make, folder, tmp_path / "run", "--dry-run")):
        assert answer.code == 2
        assert f"no images found in {folder}" in answer.error
        if what != "all bad":
            assert "looked for *.jpg" in answer.error


def test_more_than_half_bad_names_them_and_can_be_tried_again(umeta, make, tmp_path):
    paths = make.folder(tmp_path / "photos", 120)
    for path in paths[:61]:
        path.write_bytes(b"")
    answer = learn(umeta, make, tmp_path / "photos", tmp_path / "run")
    assert answer.code == 2
    assert "61 of 120 images are bad" in answer.error
    listed = tmp_path / "run" / "cache.skipped.csv"
    assert str(listed) in answer.error
    assert len(list(csv.DictReader(listed.open()))) == 61
    for path in paths[:61]:
        path.unlink()
    make.folder(tmp_path / "more", 120, seed=1)
    answer = learn(umeta, make, tmp_path / "more", tmp_path / "run")
    assert answer.code == 0, "the folder is no run, so nothing is in the way"


def test_an_image_over_50_megapixels_is_named(umeta, make, tmp_path):
    make.folder(tmp_path / "photos", 100)
    Image.new("1", (10_000, 5_001)).save(tmp_path / "photos" / "huge.png")
    answer = learn(umeta, make, tmp_path / "photos", tmp_path / "run", "--json")
    assert answer.code == 0
    (row,) = csv.DictReader((tmp_path / "run" / "skipped.csv").open())
    assert row["name"] == "huge.png" and "50 megapixels" in row["reason"]
    assert answer.json["skipped"] == 1


def test_every_mode_and_depth_is_converted(umeta, make, tmp_path):
    folder = tmp_path / "photos"
    make.folder(folder, 100)
    image = make.colored(1, seed=9)[0]
    for mode in ("1", "L", "LA", "P", "RGBA"):
        image.convert(mode).save(folder / f"{mode}.png")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257).save(folder / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "turned.jpg", exif=exif)
    answer = learn(umeta, make, folder, tmp_path / "run", "--json")
    assert answer.code == 0
    assert answer.json["skipped"] == 0
    assert "2 exact duplicates" in answer.err, "opaque LA, and 16 bits scaled and not clipped, are the same picture as 8-bit gray"
    assert answer.json["plan"]["n_images"] == 106


def test_fewer_images_than_tasks_need_and_the_number_named_works(umeta, make, tmp_path):
    few = make.npz(tmp_path / "few.npz", make.drawings(40))
    answer = learn(umeta, make, few, tmp_path / "run")
    assert answer.code == 2
    assert "there are 40 distinct images" in answer.error and "at least 48" in answer.error
    assert not (tmp_path / "run").exists()
    enough = make.npz(tmp_path / "enough.npz", make.drawings(48))
    assert learn(umeta, make, enough, tmp_path / "run").code == 0


def test_identical_images_count_once(umeta, make, tmp_path):
    same = make.npz(tmp_path / "same.npz", np.repeat(make.drawings(1), 200, 0))
    answer = learn(umeta, make, same, tmp_path / "run")
    assert answer.code == 2
    assert "there are 1 distinct images" in answer.error and "at least 48" in answer.error
    assert not (tmp_path / "run").exists()


def test_one_cluster_only(umeta, source, tmp_path):
    np.savez(tmp_path / "same.npz", embedding=np.ones((240, 3)))
    answer = umeta(
        "learn", source, "--out", tmp_path / "run", "--recipe", "cactus-protonets", "--steps", 2, "--embedding", tmp_path / "same.npz"
    )
    assert answer.code == 2
    assert "only one cluster" in answer.error
    lonely = np.zeros((240, 1))
    lonely[:3] = np.arange(1, 4)[:, None] * 1000
    np.savez(tmp_path / "lonely.npz", embedding=lonely)
    answer = umeta(
        "learn",
        source,
        "--out",
        tmp_path / "run",
        "--recipe",
        "cactus-protonets",
        "--steps",
        2,
        "--embedding",
        tmp_path / "lonely.npz",
        "--clusters",
        4,
    )
    assert answer.code == 2
    assert "only 1 cluster of 16 or more" in answer.error and "need 2" in answer.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(umeta, make, source, tmp_path, monkeypatch, value):
    import umeta.artifacts.run as artifacts

    monkeypatch.setattr(artifacts, "CHECKPOINT_EVERY_S", 0)
    real, calls = ProtoNets.step, []

    def step(self, state, tasks, rng):
        state, metrics = real(self, state, tasks, rng)
        calls.append(0)
        return state, dict(metrics) | ({"loss": value} if len(calls) == 4 else {})

    monkeypatch.setattr(ProtoNets, "step", step)
    answer = umeta("learn", source, "--out", tmp_path / "run", *make.QUICK, "--steps", 6)
    assert answer.code == 1
    assert f"became {value} at step 4" in answer.error
    assert [path.name for path in sorted((tmp_path / "run" / "checkpoint").iterdir())] == ["meta_train-000000002", "meta_train-000000003"]
    assert not (tmp_path / "run" / "procedure").exists()
    assert not (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize("file", ["embedding/tensors.safetensors", "partition/tensors.safetensors"])
def test_an_altered_stage_is_refused_by_hash(umeta, make, source, tmp_path, file, monkeypatch):
    from umeta.recipes.stages import Learning

    with monkeypatch.context() as patch:
        patch.setattr(Learning, "practice", lambda self, *_: 1 / 0)
        answer = learn(umeta, make, source, tmp_path / "run")
    assert answer.code == 1
    assert "ZeroDivisionError" in answer.error and "--debug" in answer.error
    damaged = tmp_path / "run" / file
    damaged.write_bytes(damaged.read_bytes()[:-1])
    answer = learn(umeta, make, source, tmp_path / "run", "--resume")
    assert answer.code == 1
    assert str(damaged) in answer.error and "SHA-256" in answer.error


def test_an_altered_procedure_is_refused_by_hash(umeta, run, tmp_path):
    import shutil

    copied = shutil.copytree(run, tmp_path / "run")
    weights = copied / "procedure" / "tensors.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    answer = umeta("evaluate", copied, "--on", "glyphs")
    assert answer.code == 1
    assert str(weights) in answer.error


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True).returncode:
        pytest.skip("THIS MACHINE LETS NOBODY MOUNT A SMALL DISK: a full disk was not tried")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_leaves_nothing_partial(umeta, make, source, run, small_disk, glyph_classes, tmp_path):
    answer = umeta(
        "learn",
        source,
        "--out",
        small_disk / "run",
        "--recipe",
        "cactus-protonets",
        "--embedding",
        "pixels",
        "--partitions",
        1,
        "--steps",
        2,
    )
    assert answer.code == 1
    assert "space" in answer.error.lower() and str(small_disk) in answer.error
    for name in ("embedding", "procedure", "manifest.json"):
        assert not (small_disk / "run" / name).exists()
    assert not list(small_disk.rglob("*.tmp-*"))
    with pytest.raises(OSError, match="space"), (small_disk / "filler").open("wb", buffering=0) as file:
        while True:
            assert file.write(bytes(10_000))
    support = make.support(tmp_path / "labeled", glyph_classes, [1, 1])
    answer = umeta("adapt", run, "--support", support, "--out", small_disk / "clf")
    assert answer.code == 1
    assert not list(small_disk.glob("clf*"))


def test_a_full_disk_while_a_checkpoint_is_written(umeta, make, source, tmp_path, monkeypatch):
    import umeta.artifacts.artifact as artifact

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(artifact, "save_file", full)
        answer = learn(umeta, make, source, out)
    assert answer.code == 1
    assert "No space left" in answer.error and "could not write" in answer.error
    assert not (out / "embedding").exists() and not list(out.glob("embedding.tmp*"))
    assert learn(umeta, make, source, out, "--resume").code == 0


@pytest.mark.parametrize("verb", ["learn", "adapt"])
def test_a_folder_that_cannot_be_written(umeta, make, source, run, glyph_classes, tmp_path, verb):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(locked)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode:  # nothing else is read-only to root
        pytest.skip("ROOT WITHOUT THE RIGHT TO MOUNT: a read-only folder was not tried")
    try:
        if verb == "learn":
            answer = learn(umeta, make, source, locked / "run")
        else:
            answer = umeta("adapt", run, "--support", make.support(tmp_path / "s", glyph_classes, [1, 1]), "--out", locked / "clf")
        assert answer.code == 1
        assert str(locked) in answer.error and "another" in answer.error
        assert not list(locked.iterdir())
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "-l", locked], check=True)


def test_an_out_that_is_a_file_or_below_one(umeta, make, source, tmp_path):
    (tmp_path / "file").write_text("mine")
    answer = learn(umeta, make, source, tmp_path / "file")
    assert answer.code == 2
    answer = learn(umeta, make, source, tmp_path / "file", "--overwrite")
    assert (answer.code, "left alone" in answer.error) == (2, True)
    answer = learn(umeta, make, source, tmp_path / "file" / "run")
    assert answer.code == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("learn", "x", "--out", "y", "--recipe", "cactus-mamll"), "cactus-maml"),
        (("learn", "x", "--out", "y", "--recipe", "proto"), "protoclr"),
        (("learn", "x", "--out", "y", "--recipe", "qqqq"), "oracle-maml"),
        (("lern", "x"), "learn"),
        (("qqqq",), "evaluate"),
        (("learn", "x", "--out", "y", "--overwrit"), "--overwrite"),
        (("learn", "x", "--out", "y", "--step", "3"), "--steps"),
        (("evaluate", "x", "--on", "glyphs", "--task", "3"), "--tasks"),
        (("learn", "x", "--out", "y", "--steps", "many"), "steps"),
        (("learn", "x"), "--out"),
        (("learn", "glyps", "--out", "y"), "'glyps' does not exist"),
    ],
)
def test_unknown_names_and_flags(umeta, arguments, told):
    answer = umeta(*arguments)
    assert answer.code == 2
    assert told in answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err
    assert not Path("y").exists()


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.zeros((9, 28, 28), np.float32), "uint8"),
        (np.zeros((9, 28, 28), np.int64), "uint8"),
        (np.zeros((0, 28, 28), np.uint8), "no images found"),
        (np.zeros((9, 28, 0), np.uint8), "no images found"),
        (np.zeros((9, 28), np.uint8), "[n, h, w]"),
        (np.zeros((9, 28, 28, 4), np.uint8), "[n, h, w, c]"),
        (np.array([{"a": 1}], dtype=object), "cannot be read"),
    ],
)
def test_an_npz_of_a_wrong_kind(umeta, make, tmp_path, images, told):
    path = make.npz(tmp_path / "x.npz", images)
    for answer in (learn(umeta, make, path, tmp_path / "run"), umeta("inspect", path)):
        assert answer.code == 2
        assert told in answer.error and "x.npz" in answer.error
    assert not (tmp_path / "run").exists()


def test_an_npz_without_images_or_cut_short(umeta, make, source, tmp_path):
    np.savez(tmp_path / "x.npz", pictures=np.zeros((9, 28, 28), np.uint8))
    answer = learn(umeta, make, tmp_path / "x.npz", tmp_path / "run")
    assert (answer.code, "found pictures" in answer.error) == (2, True)
    (tmp_path / "x.npz").write_bytes(source.read_bytes()[:-1000])
    assert learn(umeta, make, tmp_path / "x.npz", tmp_path / "run").code == 2


def test_options_of_ray_without_it_and_ray_with_a_memory(umeta, tmp_path):
    out = tmp_path / "run"
    for given, said in (
        (("glyphs", "--workers", 2), "--workers is for --engine ray; add that, or leave it out"),
        (("glyphs", "--address", "head:6379"), "--address is for --engine ray; add that, or leave it out"),
        (("glyphs", "--engine", "ray", "--workers", 0), "--workers must be at least 1"),
        (("env:Grid-v0", "--engine", "ray", "--recipe", "rl2-diayn"), "a memory that is told each step's reward as it acts"),
        (("env:Grid-v0", "--recipe", "uml-random", "--workers", 2), "--workers is for --engine ray; add that, or leave it out"),
    ):
        answer = umeta("learn", *given, "--out", out, "--steps", 2)
        assert answer.code == 2
        assert said in answer.error
    assert not out.exists()
