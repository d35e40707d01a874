"""A procedure meets a user's images and class names: arrays, files or pictures in, names out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from umeta.artifacts.artifact import write_artifact
from umeta.core.errors import ArtifactError, InputError, UmetaError
from umeta.core.loop import Pace, meta_train
from umeta.core.rng import Rng
from umeta.functional.prototypes import Metric
from umeta.images.cache import build_cache
from umeta.images.learners.heads import HEADS, Prototypes
from umeta.images.learners.maml import InnerLoop, Maml
from umeta.images.learners.protonets import ProtoNets
from umeta.images.named_classifier import NamedClassifier
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.preparation import Preparation
from umeta.images.procedure import ImageLearningProcedure
from umeta.images.source import ArraySource

RNG = Rng.from_seed(0)
PROTONETS = ProtoNets(Conv4Config(1, 28, 8))
MAML = Maml(Conv4Config(1, 28, 8, "stride", stored=False), n_way=5, inner=InnerLoop(lr=0.1, statistics="stored"), n_adapt_steps=5)


@pytest.fixture(scope="module", params=[PROTONETS, MAML], ids=["protonets", "maml"])
def procedure(request, tiny_tasks):
    shipped = meta_train(request.param, tiny_tasks, meta_batch_size=2, pace=Pace(20), rng=RNG)
    return ImageLearningProcedure(shipped, Preparation(1, 28), "a recipe")


@pytest.fixture
def drawings(tiny_pool):
    """Images [72, 28, 28] of three classes, 24 of each."""
    return tiny_pool.images[:72, 0]


# Adapting


def test_unequal_shots_of_named_classes_are_learned(procedure, drawings):
    index = [0, 1, 2, 24, 48, 49]
    names = ["dog", "dog", "dog", "ant", "cat", "cat"]
    classifier = procedure.adapt((drawings[index], names))
    assert classifier.classes == ("ant", "cat", "dog")
    truth = np.array(["dog", "ant", "cat"]).repeat(24)
    assert (classifier.predict(drawings) == truth).mean() > 0.6
    proba = classifier.predict_proba(drawings)
    assert proba.shape == (72, 3)
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("labels", [[7, -3], np.array([7, -3]), [True, False], ["b", "a"], (2.5, 1.5), np.array(["b", "a"], object)])
def test_labels_of_any_type_come_back(procedure, drawings, labels):
    classifier = procedure.adapt((drawings[[0, 24]], labels))
    assert classifier.predict(drawings[[0, 24]]).tolist() == list(labels)


def test_the_order_of_examples_and_the_default_stream_do_not_matter(procedure, drawings):
    index, names = np.array([0, 1, 24, 25, 48]), np.array(list("aabbc"))
    order = np.array([3, 0, 4, 2, 1])
    first = procedure.adapt((drawings[index], names)).predict_proba(drawings)
    second = procedure.adapt((drawings[index[order]], names[order]), Rng.from_seed(0)).predict_proba(drawings)
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_adapting_leaves_the_procedure_alone(procedure, drawings):
    before = {name: value.clone() for name, value in procedure.procedure.tensors().items()}
    procedure.adapt((drawings[[0, 24]], [0, 1]))
    assert all(torch.equal(value, before[name]) for name, value in procedure.procedure.tensors().items())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 1], "a classifier needs at least 2 classes, the examples have 1"),
        ([1, 2, 3], r"2 images came with labels of shape \[3\]; give one label per image"),
        ([], r"labels of shape \[0\]"),
        ([[1, 2]], r"labels of shape \[1, 2\]"),
    ],
)
def test_labels_that_do_not_fit_are_refused(procedure, drawings, labels, message):
    with pytest.raises(InputError, match=message):
        procedure.adapt((drawings[[0, 24]], labels))


def test_no_examples_at_all_are_refused(procedure):
    with pytest.raises(InputError, match="at least 2 classes, the examples have 0"):
        procedure.adapt(([], []))


# Images


def test_images_of_any_size_are_cut_and_scaled(procedure, drawings):
    big = np.kron(drawings[[0, 24]], np.ones((3, 3), np.uint8))
    wide = [np.pad(image, ((0, 0), (20, 20))) for image in big]
    classifier = procedure.adapt((drawings[[0, 24]], ["a", "b"]))
    assert classifier.predict(big).tolist() == ["a", "b"]
    np.testing.assert_allclose(classifier.predict_proba(wide), classifier.predict_proba(list(big)), atol=1e-6)


def test_the_one_that_cannot_be_read_is_named(procedure, drawings, tmp_path):
    Image.fromarray(drawings[0]).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"nothing")
    cases = {
        "bad.png: not an image of a known format": [tmp_path / "good.png", str(tmp_path / "bad.png")],
        "gone.png: no such file": [tmp_path / "gone.png"],
        r"image 1: an image has shape \[2\]": [drawings[0], np.zeros(2, np.uint8)],
    }
    classifier = procedure.adapt((drawings[[0, 24]], ["a", "b"]))
    for message, images in cases.items():
        for work in (classifier.predict, lambda images: procedure.adapt((images, ["a"] * len(images)))):
            with pytest.raises(UmetaError, match=message):
                work(images)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_one_image_is_not_taken_for_several(procedure, drawings, tmp_path, n_channels):
    Image.fromarray(drawings[0]).save(tmp_path / "0.png")
    classifier = procedure.adapt((drawings[[0, 24]], ["a", "b"]))
    for one in (tmp_path / "0.png", str(tmp_path / "0.png")):
        with pytest.raises(InputError, match=r"0\.png is one image; give a list of paths"):
            classifier.predict(one)
        with pytest.raises(InputError, match="give a list of paths"):
            procedure.adapt((one, ["a"]))
    with pytest.raises(InputError, match="give a list of images"):
        classifier.predict(Image.fromarray(drawings[0]))
    one = np.stack([drawings[0]] * n_channels, -1)
    with pytest.raises(InputError, match=rf"images have shape \[28, 28, {n_channels}\]; one image\? give images\[None\]"):
        classifier.predict(one)
    assert classifier.predict(one[None]).shape == (1,)


@pytest.mark.parametrize("images", [[], (), np.zeros((0, 28, 28), np.uint8)])
def test_predicting_nothing_gives_nothing(procedure, drawings, images):
    classifier = procedure.adapt((drawings[[0, 24]], ["a", "b"]))
    assert classifier.predict_proba(images).shape == (0, 2)
    assert classifier.predict(images).tolist() == []


# Files


def test_procedures_and_classifiers_come_back_the_same(procedure, drawings, tmp_path):
    support = (drawings[[0, 1, 24, 48]], ["a", "a", "é", "c"])
    classifier = procedure.adapt(support)
    wanted = classifier.predict_proba(drawings)
    procedure.save(tmp_path / "run/procedure")
    for folder in (tmp_path / "run", str(tmp_path / "run/procedure")):
        again = ImageLearningProcedure.load(folder)
        assert (again.recipe, again.preparation, again.transductive) == ("a recipe", Preparation(1, 28), procedure.transductive)
        np.testing.assert_array_equal(again.adapt(support).predict_proba(drawings), wanted)
    classifier.save(tmp_path / "mine")
    loaded = NamedClassifier.load(tmp_path / "mine")
    assert loaded.classes == ("a", "c", "é")
    np.testing.assert_array_equal(loaded.predict_proba(drawings), wanted)
    assert loaded.predict(drawings).tolist() == classifier.predict(drawings).tolist()


def test_heads_learn_in_the_embedding_that_is_there(drawings, tiny_pool, tmp_path):
    shipped = ImageLearningProcedure(PROTONETS.export(PROTONETS.init(RNG)), Preparation(1, 28), "a recipe")
    build_cache(ArraySource(tiny_pool.images[:, 0], "drawings"), tmp_path / "cache", image_size=None)
    support = (drawings[[0, 1, 24, 48]], ["a", "a", "b", "c"])
    seen = {}
    for name in HEADS:
        headed = shipped.with_head(name, tmp_path)
        assert headed.transductive == (name == "em")
        classifier = headed.adapt(support)
        classifier.save(tmp_path / name)
        seen[name] = NamedClassifier.load(tmp_path / name).predict_proba(drawings)
        np.testing.assert_array_equal(seen[name], classifier.predict_proba(drawings))
        single = np.concatenate([classifier.predict_proba(drawings[i : i + 1]) for i in range(20)])
        assert np.allclose(single, seen[name][:20], atol=1e-4) == (name != "em")
    assert len({probabilities.tobytes() for probabilities in seen.values()}) == len(HEADS)
    mean = shipped.with_head("center", tmp_path).procedure.head.mean
    torch.testing.assert_close(mean, shipped.procedure.net(torch.from_numpy(tiny_pool.images) / 255).mean(0), atol=1e-4, rtol=1e-4)


def test_heads_that_cannot_be(tmp_path):
    shipped = ImageLearningProcedure(PROTONETS.export(PROTONETS.init(RNG)), Preparation(1, 28), "a recipe")
    with pytest.raises(InputError, match="no head 'svm'; there are prototypes, power, center, tune, em"):
        shipped.with_head("svm", tmp_path)
    with pytest.raises(ArtifactError, match="cache"):
        shipped.with_head("center", tmp_path)
    gradient = ImageLearningProcedure(MAML.export(MAML.init(RNG)), Preparation(1, 28), "cactus-maml")
    with pytest.raises(InputError, match="heads work on an embedding, and cactus-maml has none"):
        gradient.with_head("em", tmp_path)


def test_a_procedure_of_before_there_were_heads_has_prototypes(tmp_path):
    procedure = PROTONETS.export(PROTONETS.init(RNG))
    info = {"type": "prototypes", "net": procedure.describe()["net"], "metric": {"kind": "cosine", "temperature": 0.5}}
    write_artifact(
        tmp_path / "p", "procedure", procedure.tensors(), {"procedure": info, "recipe": "", "preparation": {"channels": 1, "side": 28}}
    )
    assert ImageLearningProcedure.load(tmp_path / "p").procedure.head == Prototypes(Metric("cosine", 0.5))


def test_transductive_is_what_the_procedure_says():
    for statistics, transductive in (("stored", False), ("batch", True)):
        learner = replace(MAML, inner=InnerLoop(statistics=statistics))
        assert ImageLearningProcedure(learner.export(learner.init(RNG)), Preparation(1, 28), "").transductive == transductive


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".PICKLE", ".joblib"])
@pytest.mark.parametrize("load", [ImageLearningProcedure.load, NamedClassifier.load])
def test_files_that_can_run_code_are_never_opened(tmp_path, suffix, load, monkeypatch):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"\x80\x04.")
    opened = []
    monkeypatch.setattr("pathlib.Path.open", lambda self, *arguments, **options: opened.append(self))
    with pytest.raises(InputError, match="is not opened: pickled files can run code"):
        load(path)
    assert opened == []


def test_what_is_not_there_is_told_apart(procedure, tmp_path):
    with pytest.raises(InputError, match="does not exist; give a folder that umeta wrote"):
        ImageLearningProcedure.load(tmp_path / "absent")
    with pytest.raises(ArtifactError, match=r"holds no procedure$"):
        ImageLearningProcedure.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"holds no procedure \(the run has not finished; go on with --resume\)"):
        ImageLearningProcedure.load(tmp_path)
    procedure.save(tmp_path / "procedure")
    with pytest.raises(ArtifactError, match="is a 'procedure' artifact, not a 'classifier' one"):
        NamedClassifier.load(tmp_path / "procedure")
