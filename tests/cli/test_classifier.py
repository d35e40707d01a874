import json

import numpy as np
import pytest
from PIL import Image


def test_adapt_and_predict_with_unequal_shots(umeta, make, run, glyph_classes, tmp_path):
    support = make.support(tmp_path / "labeled", glyph_classes, [5, 1, 3])
    answer = umeta("adapt", run, "--support", support, "--out", tmp_path / "clf", "--json")
    assert answer.code == 0
    shots = {folder.name: len(list(folder.iterdir())) for folder in support.iterdir()}
    assert answer.json["classes"] == shots
    images = sorted(support.rglob("*.png"))
    predictions = umeta("predict", tmp_path / "clf", *images, "--json").json["predictions"]
    assert [entry["image"] for entry in predictions] == [str(path) for path in images]
    for entry in predictions:
        assert set(entry["probabilities"]) == set(shots)
        assert sum(entry["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert entry["probability"] == max(entry["probabilities"].values())
    right = [entry["label"] == path.parent.name for entry, path in zip(predictions, images, strict=True)]
    assert np.mean(right) > 0.7, "these are the images it was adapted to"
    plain = umeta("predict", tmp_path / "clf", images[0]).out
    assert plain.startswith(f"{images[0]}: {predictions[0]['label']} 0.") or plain.startswith(f"{images[0]}: {predictions[0]['label']} 1.")


@pytest.mark.parametrize("which", ["run", "maml_run"])
def test_more_classes_than_in_practice(umeta, make, glyph_classes, tmp_path, which, request):
    support = make.support(tmp_path / "labeled", glyph_classes, [2] * 25)
    assert umeta("adapt", request.getfixturevalue(which), "--support", support, "--out", tmp_path / "clf").code == 0
    answer = umeta("predict", tmp_path / "clf", *sorted(support.rglob("0.png")), "--json")
    assert len(answer.json["predictions"][0]["probabilities"]) == 25
    if which == "run":
        assert len({entry["label"] for entry in answer.json["predictions"]}) > 10


def test_images_are_predicted_together(umeta, make, maml_run, glyph_classes, tmp_path):
    """MAML normalizes queries by their batch, so one call must be one batch."""
    from umeta import load_classifier

    support = make.support(tmp_path / "labeled", glyph_classes, [3, 3])
    assert umeta("adapt", maml_run, "--support", support, "--out", tmp_path / "clf").code == 0
    images = sorted(support.rglob("*.png"))
    predictions = umeta("predict", tmp_path / "clf", images[0], tmp_path / "gone.png", *images[1:], "--json").json["predictions"]
    assert predictions.pop(1)["error"]
    found = [list(entry["probabilities"].values()) for entry in predictions]
    np.testing.assert_allclose(found, load_classifier(tmp_path / "clf").predict_proba(images), atol=1e-5)


def test_class_names_of_any_kind_and_hidden_folders(umeta, make, run, glyph_classes, tmp_path):
    names = ["ヒューマン", "a b", "-x", "7"]
    support = make.support(tmp_path / "labeled", dict(zip(names, glyph_classes.values(), strict=False)), [1] * 4)
    (support / ".ipynb_checkpoints").mkdir()
    answer = umeta("adapt", run, "--support", support, "--out", tmp_path / "new" / "folder" / "clf", "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json["classes"]) == set(names)


def test_photos_of_any_size_for_a_gray_procedure(umeta, make, run, tmp_path):
    for index, image in enumerate(make.colored(4)):
        folder = tmp_path / "labeled" / f"class{index % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{index}.jpg")
    assert umeta("adapt", run, "--support", tmp_path / "labeled", "--out", tmp_path / "clf").code == 0


def test_one_class_only(umeta, make, run, glyph_classes, tmp_path):
    support = make.support(tmp_path / "labeled", glyph_classes, [3])
    answer = umeta("adapt", run, "--support", support, "--out", tmp_path / "clf")
    assert answer.code == 2
    assert "at least 2 folders" in answer.error and f"it holds only {next(support.iterdir()).name}" in answer.error
    assert not (tmp_path / "clf").exists()


def test_a_class_without_a_readable_image(umeta, make, run, glyph_classes, tmp_path):
    support = make.support(tmp_path / "labeled", glyph_classes, [1, 1])
    broken = support / "broken class"
    broken.mkdir()
    answer = umeta("adapt", run, "--support", support, "--out", tmp_path / "clf")
    assert answer.code == 2
    assert "broken class" in answer.error
    (broken / "a.png").write_bytes(b"nothing")
    answer = umeta("adapt", run, "--support", support, "--out", tmp_path / "clf")
    assert answer.code == 2
    assert "'broken class' has no readable image" in answer.error
    assert not (tmp_path / "clf").exists()


def test_a_bad_image_beside_good_ones_is_named(umeta, make, run, glyph_classes, tmp_path):
    support = make.support(tmp_path / "labeled", glyph_classes, [2, 2])
    bad = next(support.iterdir()) / "bad.png"
    bad.write_bytes(b"")
    answer = umeta("adapt", run, "--support", support, "--out", tmp_path / "clf", "--json")
    assert answer.code == 0
    assert answer.json["skipped"] == [{"file": str(bad), "reason": "empty file"}]


def test_what_exists_is_replaced_only_on_demand(umeta, make, run, classifier, glyph_classes, tmp_path):
    support = make.support(tmp_path / "labeled", glyph_classes, [1, 1])
    adapt = ("adapt", run, "--support", support, "--out")
    assert umeta(*adapt, tmp_path / "clf").code == 0
    answer = umeta(*adapt, tmp_path / "clf")
    assert (answer.code, "--overwrite" in answer.error) == (2, True)
    assert umeta(*adapt, tmp_path / "clf", "--overwrite").code == 0
    assert not list(tmp_path.glob("clf.*"))
    for precious in (support, run, run / "procedure"):
        answer = umeta(*adapt, precious, "--overwrite")
        assert answer.code == 2
        assert "left alone" in answer.error


def test_bad_files_among_images_to_predict(umeta, make, classifier, glyph_classes, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.jpg"
    Image.fromarray(next(iter(glyph_classes.values()))[3]).save(good)
    bad.write_bytes(good.read_bytes()[:60])
    answer = umeta("predict", classifier, bad, tmp_path / "gone.png", tmp_path, good, "--json")
    assert answer.code == 0
    errors = [entry.get("error") for entry in answer.json["predictions"]]
    assert errors[0] and errors[1] == "no such file" and errors[2] == "is a folder" and errors[3] is None
    plain = umeta("predict", classifier, bad, good).out.splitlines()
    assert plain[0].startswith(f"{bad}: ") and plain[1].startswith(f"{good}: ")
    answer = umeta("predict", classifier, bad)
    assert answer.code == 1
    assert "none of the 1 images" in answer.error
    assert umeta("predict", classifier).code == 2


@pytest.fixture
def damaged(classifier, tmp_path):
    import shutil

    return shutil.copytree(classifier, tmp_path / "clf")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rename_class(path):
    content = json.loads(path.read_text())
    content["info"]["classes"].reverse()
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("tensors.safetensors", flip),
        ("tensors.safetensors", lambda path: path.write_bytes(path.read_bytes()[:-1])),
        ("tensors.safetensors", lambda path: path.write_bytes(b"")),
        ("tensors.safetensors", lambda path: path.unlink()),
        ("artifact.json", rename_class),
        ("artifact.json", lambda path: path.write_text(path.read_text()[:-20])),
        ("artifact.json", lambda path: path.write_text("[]")),
    ],
)
def test_a_damaged_classifier_is_refused_and_the_file_named(umeta, damaged, tmp_path, file, damage):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "x.png")
    assert umeta("predict", damaged, tmp_path / "x.png").code == 0
    damage(damaged / file)
    answer = umeta("predict", damaged, tmp_path / "x.png")
    assert answer.code == 1
    assert str(damaged / file) in answer.error
    assert answer.out == ""


@pytest.mark.parametrize("suffix", ["pkl", "pt", "pth", "pickle", "joblib"])
def test_pickles_are_never_opened(umeta, run, tmp_path, suffix, monkeypatch):
    import io
    import pathlib

    path = tmp_path / f"model.{suffix}"
    path.write_bytes(b"cos\nsystem\n(S'touch /tmp/umeta-was-here'\ntR.")
    opened = []
    real = io.open
    monkeypatch.setattr(io, "open", lambda file, *rest, **named: opened.append(str(file)) or real(file, *rest, **named))
    monkeypatch.setattr(pathlib.io, "open", io.open)
    for arguments in (
        ("predict", path, path),
        ("adapt", path, "--support", tmp_path, "--out", tmp_path / "clf"),
        ("evaluate", path, "--on", "glyphs"),
        ("learn", path, "--out", tmp_path / "run"),
        ("inspect", path),
    ):
        answer = umeta(*arguments)
        assert answer.code == 2, arguments
        assert "open" in answer.error and path.name in answer.error
    assert str(path) not in opened


def test_artifacts_of_another_kind(umeta, run, classifier, glyph_classes, make, tmp_path):
    support = make.support(tmp_path / "labeled", glyph_classes, [1, 1])
    answer = umeta("predict", run, tmp_path / "x.png")
    assert (answer.code, f"{run} is a run on images, and predict takes a classifier" in answer.error) == (2, True)
    answer = umeta("adapt", classifier, "--support", support, "--out", tmp_path / "clf")
    assert (answer.code, f"{classifier} is a classifier, and adapt takes a run" in answer.error) == (2, True)
    assert umeta("predict", tmp_path / "nothing", "x.png").code == 2
    assert umeta("adapt", run, "--support", tmp_path / "nothing", "--out", tmp_path / "clf").code == 2


def test_a_head_is_chosen_when_adapting(umeta, make, run, glyph_classes, tmp_path):
    import umeta as library

    support = make.support(tmp_path / "labeled", glyph_classes, [3, 2])
    images = sorted(support.rglob("*.png"))
    for head in ("tune", "em"):
        assert umeta("adapt", run, "--support", support, "--out", tmp_path / head, "--head", head).code == 0
    tuned, mixed = (library.load_classifier(tmp_path / head).predict_proba(images) for head in ("tune", "em"))
    names = [path.parent.name for path in images]
    np.testing.assert_allclose(library.load(run, head="tune").adapt((images, names)).predict_proba(images), tuned, atol=1e-5)
    assert not np.allclose(tuned, mixed, atol=1e-4)


def test_the_names_of_heads_on_the_command_line_are_all_there_are():
    from typing import get_args

    from umeta.cli.using import Head
    from umeta.images.learners.heads import HEADS

    assert get_args(Head) == (*HEADS, "gradient")


def test_a_classifier_is_small_beside_its_run_or_stands_alone(umeta, make, run, glyph_classes, tmp_path):
    from shutil import copytree

    here = copytree(run, tmp_path / "here")
    support = make.support(tmp_path / "labeled", glyph_classes, [2, 2])
    images = sorted(support.rglob("*.png"))
    for name, options in (("small", ()), ("whole", ("--standalone",))):
        assert umeta("adapt", here, "--support", support, "--out", tmp_path / name, *options).code == 0
    sizes = [(tmp_path / name / "tensors.safetensors").stat().st_size for name in ("small", "whole")]
    assert sizes[0] < 2000 < sizes[1]
    answers = [umeta("predict", tmp_path / name, *images, "--json").json["predictions"] for name in ("small", "whole")]
    assert answers[0] == answers[1]
    there = here.rename(tmp_path / "there")
    answer = umeta("predict", tmp_path / "small", images[0])
    assert (answer.code, f"{tmp_path / 'small'} needs the run {here}, which is not there" in answer.error) == (1, True)
    assert umeta("predict", tmp_path / "small", *images, "--run", there, "--json").json["predictions"] == answers[0]
    assert umeta("predict", tmp_path / "whole", *images, "--json").json["predictions"] == answers[0]
    flip(there / "procedure" / "tensors.safetensors")
    assert str(there) in umeta("predict", tmp_path / "small", images[0], "--run", there).error
    other = copytree(run, tmp_path / "other")
    rewritten = json.loads((other / "procedure" / "artifact.json").read_text()) | {"sha256": "0"}
    (other / "procedure" / "artifact.json").write_text(json.dumps(rewritten))
    answer = umeta("predict", tmp_path / "small", images[0], "--run", other)
    assert answer.code == 1
    assert f"{tmp_path / 'small'} was adapted from another procedure than the one that is in {other} now" in answer.error


def test_none_of_these(umeta, make, run, glyph_classes, tmp_path):
    support = make.support(tmp_path / "labeled", glyph_classes, [3, 3])
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)).save(tmp_path / "noise.png")
    assert umeta("adapt", run, "--support", support, "--out", tmp_path / "clf", "--reject", "0.01").code == 0
    assert umeta("predict", tmp_path / "clf", tmp_path / "noise.png").out.split(": ")[1].startswith("none of these ")
    answer = umeta("adapt", run, "--support", support, "--out", tmp_path / "not", "--reject", "2")
    assert (answer.code, "reject is 2.0; give the share" in answer.error) == (2, True)
