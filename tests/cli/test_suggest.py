"""The verbs `suggest` and `export`: files by name, bad ones left out, one JSON object."""

import pytest
from PIL import Image


def test_files_are_named_and_bad_ones_left_out(umeta, make, run, glyph_classes, tmp_path):
    folder = make.support(tmp_path / "images", glyph_classes, [4] * 5)
    (folder / "broken.png").write_bytes(b"nothing")
    answer = umeta("suggest", run, "--images", folder, "--n", 6, "--json").json
    assert len(set(answer["suggestions"])) == 6
    assert all(Image.open(path).size == (28, 28) for path in answer["suggestions"])
    assert [entry["file"] for entry in answer["skipped"]] == [str(folder / "broken.png")]
    labeled = make.support(tmp_path / "labeled", glyph_classes, [2, 2])
    plain = umeta("suggest", run, "--images", folder, "--n", 20, "--labeled", labeled).out.splitlines()
    assert len(set(plain)) == 20
    assert umeta("suggest", run, "--images", folder, "--labeled", tmp_path / "none").code == 2
    assert umeta("suggest", run, "--images", folder, "--n", 0).code == 2
    refused = umeta("suggest", run, "--images", folder, "--n", 99)
    assert (refused.code, "99 of 20 images cannot be suggested; give a number from 1 to 20" in refused.error) == (2, True)


def test_export_says_how_far_it_is_from_pytorch(umeta, run, maml_run, tmp_path):
    answer = umeta("export", run, "--out", tmp_path / "x.pt2", "--format", "torch", "--json").json
    assert answer["max_difference"] < 1e-5 and answer["bytes"] == (tmp_path / "x.pt2").stat().st_size
    refused = umeta("export", maml_run, "--out", tmp_path / "y.onnx")
    assert (refused.code, "adapts by gradient steps" in refused.error) == (2, True)


def test_export_replaces_nothing_unasked(umeta, run, tmp_path):
    photo = tmp_path / "photo.png"
    out, form = tmp_path / "x.pt2", ("--format", "torch")
    for path in (photo, out):
        path.write_bytes(b"mine")
    for path, options, said in (
        (out, form, "exists; replace it with --overwrite"),
        (photo, (), "exists; replace it with --overwrite"),
        (photo, ("--overwrite",), "does not end in .onnx"),
        (tmp_path / "y.onnx", form, "does not end in .pt2"),
        (tmp_path, ("--overwrite",), "is a folder"),
    ):
        refused = umeta("export", run, "--out", path, *options)
        assert (refused.code, said in refused.error) == (2, True), refused.err
        assert photo.read_bytes() == out.read_bytes() == b"mine"
    assert umeta("export", run, "--out", out, *form, "--overwrite").code == 0 and out.stat().st_size > 4


def test_export_to_onnx_says_only_its_own_lines(make, run, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    process = make.process("export", run, "--out", tmp_path / "x.onnx")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, len(out.splitlines()), err) == (0, 2, "")
