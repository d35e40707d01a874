"""The verbs `suggest` and `export`: files by name, bad ones left out, one JSON object."""

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
