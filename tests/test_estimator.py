"""A learning procedure as a scikit-learn classifier: its contract, images and vectors, more shots and classes, "none of these"."""

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

import umeta
from umeta import FewShotClassifier
from umeta.core.errors import InputError, UmetaError
from umeta.core.rng import Rng
from umeta.images.learners.maml import InnerLoop, Maml
from umeta.images.nets.conv4 import Conv4Config
from umeta.images.preparation import Preparation
from umeta.images.procedure import ImageLearningProcedure

# scikit-learn 1.9 has 55 for a classifier of this kind, earlier ones a few less. None is expected to fail: two dimensions are vectors.
N_CHECKS = 50


@parametrize_with_checks([FewShotClassifier()])
def test_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_so_many_checks_are_made():
    names = {getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(FewShotClassifier())}
    assert sum(1 for _ in estimator_checks_generator(FewShotClassifier())) >= N_CHECKS
    assert {"check_classifiers_train", "check_n_features_in_after_fitting", "check_estimators_pickle", "check_supervised_y_2d"} <= names


@pytest.fixture(scope="module")
def shown(tiny_pool):
    """Four classes: images [96, 28, 28] and names."""
    return tiny_pool.images[:96, 0], np.repeat(["a", "b", "c", "d"], 24)


def few(shown, n):
    """Return `n` images of each class."""
    keep = np.concatenate([np.arange(first, first + n) for first in range(0, 96, 24)])
    return shown[0][keep], shown[1][keep]


def test_every_form_of_images_and_their_vectors_give_the_same(tiny_run, shown, tmp_path):
    images, names = few(shown, 3)
    paths = []
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
        paths.append(tmp_path / f"{index}.png")
    fitted = FewShotClassifier(tiny_run).fit(images, names)
    wanted = fitted.predict_proba(shown[0])
    assert (fitted.predict(shown[0]) == shown[1]).mean() > 0.7
    np.testing.assert_allclose(umeta.load(tiny_run).adapt((images, names)).predict_proba(shown[0]), wanted, atol=1e-6)
    forms = (images[..., None], list(images), paths, tuple(map(str, paths)), [Image.fromarray(image) for image in images], images / 255)
    for form in (*forms, fitted.embed(images)):
        np.testing.assert_allclose(FewShotClassifier(tiny_run).fit(form, names).predict_proba(shown[0]), wanted, atol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba(fitted.embed(shown[0])), wanted, atol=1e-5)


def test_shots_and_classes_that_come_later(tiny_run, shown):
    images, names = few(shown, 3)
    parts = FewShotClassifier(tiny_run).partial_fit(images[:4], names[:4])
    assert parts.classes_.tolist() == ["a", "b"]
    for first in range(4, 12, 4):
        parts.partial_fit(images[first : first + 4], names[first : first + 4])
    at_once = FewShotClassifier(tiny_run).fit(images, names)
    assert parts.classes_.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_allclose(parts.predict_proba(shown[0]), at_once.predict_proba(shown[0]), atol=1e-5)
    parts.fit(images[:6], names[:6])
    assert parts.classes_.tolist() == ["a", "b"], "fit forgets"


def test_the_head_follows_the_shots(tiny_run, shown):
    def head(n, **given):
        return FewShotClassifier(tiny_run, **given).fit(*few(shown, n)).classifier_.classifier.head.describe()["type"]

    assert [head(9), head(10)] == ["prototypes", "regression"]
    assert [head(2, head="nearest"), head(20, head="prototypes")] == ["nearest", "prototypes"]


def test_an_image_of_no_class(tiny_run, shown):
    shown = np.rot90(shown[0], axes=(1, 2)).copy(), shown[1]  # classes that the pool does not have
    images, names = few(shown, 5)
    strange = np.random.default_rng(1).integers(0, 256, (60, 28, 28), np.uint8)
    fitted = FewShotClassifier(tiny_run, reject=0.05).fit(images, names)
    named = [(fitted.predict(images) != "none of these").mean() for images in (shown[0], strange)]
    assert named[0] > 0.3 > 0.1 > named[1]
    assert set(FewShotClassifier(tiny_run).fit(images, names).predict(strange)) <= {"a", "b", "c", "d"}
    numbers = FewShotClassifier(tiny_run, reject=0.05).fit(images, np.repeat([3, 5, 7, 9], 5))
    assert -1 in numbers.predict(strange).tolist()
    best = fitted.classifier_.scores(umeta.load(tiny_run).calibration.strangers)
    assert (best.amax(-1).numpy() >= fitted.classifier_.threshold).mean() == pytest.approx(0.05, abs=0.01)


def test_gradient_steps(shown, tiny_pool):
    learner = Maml(Conv4Config(1, 28, 8, "stride", stored=False), n_way=5, inner=InnerLoop(lr=0.1, statistics="stored"), n_adapt_steps=5)
    procedure = ImageLearningProcedure(learner.export(learner.init(Rng.from_seed(0))), Preparation(1, 28), "cactus-maml")
    images, names = few(shown, 2)
    fitted = FewShotClassifier(procedure, head="gradient").fit(images[:4], names[:4]).partial_fit(images[4:], names[4:])
    np.testing.assert_allclose(fitted.predict_proba(shown[0]), procedure.adapt((images, names)).predict_proba(shown[0]), atol=1e-4)
    assert FewShotClassifier(procedure).fit(*few(shown, 12)).classes_.tolist() == ["a", "b", "c", "d"]
    for wrong in (lambda: FewShotClassifier(procedure, "linear").fit(images, names), lambda: fitted.embed(images)):
        with pytest.raises(InputError, match="embedding"):
            wrong()
    with pytest.raises(InputError, match="vectors mean nothing to it"):
        FewShotClassifier(procedure).fit(np.zeros((4, 9)), names[[0, 0, 2, 2]])


def test_it_is_cloned_searched_and_piped(tiny_run, shown):
    images, names = few(shown, 6)
    estimator = FewShotClassifier(tiny_run, head="linear", reject=0.1)
    assert clone(estimator).get_params() == {"run": tiny_run, "head": "linear", "reject": 0.1}
    search = GridSearchCV(FewShotClassifier(tiny_run), {"head": ["prototypes", "nearest", "linear"]}, cv=2).fit(images, names)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all() and search.best_score_ > 0.5
    vectors = estimator.embed(images)
    piped = make_pipeline(StandardScaler(), FewShotClassifier()).fit(vectors, names)
    assert piped.score(vectors, names) > 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": None}, "images need a run"),
        ({"head": "forest"}, "there is no head 'forest'; there are prototypes"),
        ({"head": "gradient"}, "was not trained to adapt by gradient steps"),
        ({"reject": 5}, "reject is 5; give the share of strangers"),
        ({"reject": "x"}, "reject is 'x'; give the share of strangers"),
        ({"head": "em", "reject": 0.1}, "reject needs scores that do not depend on the other images"),
    ],
)
def test_what_cannot_be_is_refused(tiny_run, shown, change, message):
    with pytest.raises(ValueError, match=message):
        FewShotClassifier(tiny_run).set_params(**change).fit(*few(shown, 2))


def test_nothing_but_a_classifier_is_ever_replaced(tiny_run, shown, tmp_path):
    images, names = few(shown, 2)
    fitted = FewShotClassifier(tiny_run).fit(images, names)
    mine, other = tmp_path / "mine", tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years")
    before = {path: path.read_bytes() for folder in (other, tiny_run) for path in folder.rglob("*") if path.is_file()}
    for saved in (fitted, fitted.classifier_):
        for place in (other, tiny_run, tiny_run / "procedure", other / "thesis.txt"):
            with pytest.raises(InputError, match="exists; it is no classifier, so it is left alone; choose another"):
                saved.save(place, overwrite=True)
    with pytest.raises(InputError, match="exists; it is no procedure, so it is left alone"):
        umeta.load(tiny_run).save(other)
    assert {path: path.read_bytes() for path in before} == before
    fitted.save(mine)
    with pytest.raises(InputError, match="mine exists; replace it with overwrite=True"):
        FewShotClassifier(tiny_run).fit(images[:4], names[:4]).save(mine)
    assert umeta.load_classifier(mine).classes == ("a", "b", "c", "d")
    FewShotClassifier(tiny_run).fit(images[:4], names[:4]).save(mine, overwrite=True)
    assert umeta.load_classifier(mine).classes == ("a", "b")


def test_labels_that_are_missing_or_of_two_kinds(tiny_run, shown):
    images, fitted = shown[0][[0, 24]], FewShotClassifier(tiny_run).fit(*few(shown, 1))
    learners = (FewShotClassifier(tiny_run).fit, fitted.partial_fit, lambda images, labels: umeta.load(tiny_run).adapt((images, labels)))
    for learn in learners:
        for labels in (["a", None], [1, None], [1.0, float("nan")], np.array(["a", None], object)):
            with pytest.raises(InputError, match="a label is missing"):
                learn(images, labels)
        for labels in ([1, "a"], np.array(["a", 2.5], object)):
            with pytest.raises(InputError, match="some labels are text and some are numbers"):
                learn(images, labels)
    with pytest.raises(InputError, match="some labels are text and some are numbers"):
        fitted.partial_fit(images, [1, 2])


def test_a_class_is_not_named_as_if_it_were_none(tiny_run, shown):
    for names in (["none of these", "a"], [-1, 4]):
        assert set(FewShotClassifier(tiny_run).fit(shown[0][[0, 24]], names).classes_) == set(names)
        with pytest.raises(InputError, match=r"a class is named .*, as images of no class are; rename it, or leave out reject"):
            FewShotClassifier(tiny_run, reject=0.1).fit(shown[0][[0, 24]], names)


def test_a_budget_without_a_unit(tmp_path):
    with pytest.raises(InputError, match="budget 20 is not a time; write 90s, 20m or 2h"):
        umeta.learn(tmp_path, out=tmp_path / "run", budget=20)


def test_one_image_and_none_are_refused(tiny_run, shown, tmp_path):
    fitted = FewShotClassifier(tiny_run).fit(*few(shown, 2))
    Image.fromarray(shown[0][0]).save(tmp_path / "0.png")
    wrong = {
        "give a list of paths": [tmp_path / "0.png", str(tmp_path / "0.png")],
        r"one image\? give images\[None\]": [np.stack([shown[0][0]] * 3, -1)],
        "there is no image or vector; give at least one": [[], np.zeros(0)],
        "gone.png: no such file": [["gone.png", "gone.png"]],
    }
    for message, forms in wrong.items():
        for form in forms:
            for work in (fitted.predict, fitted.predict_proba, lambda form: FewShotClassifier(tiny_run).fit(form, ["a", "b"])):
                with pytest.raises(UmetaError, match=message):
                    work(form)


def test_vectors_of_another_embedding_are_refused(tiny_run, shown):
    with pytest.raises(InputError, match=r"X is \[2, 7\], but vectors of this run have 8 dimensions"):
        FewShotClassifier(tiny_run).fit(np.zeros((2, 7)), [0, 1])
    with pytest.raises(InputError, match=r"X is \[2, 7\], but the examples were"):
        FewShotClassifier(tiny_run).fit(*few(shown, 1)).predict(np.zeros((2, 7)))
    with pytest.raises(InputError, match="reject needs images of a run"):
        FewShotClassifier(reject=0.1).fit([[0.0], [1.0]], [0, 1])
