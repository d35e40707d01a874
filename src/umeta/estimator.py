"""Knows how a learning procedure is a scikit-learn classifier: what it takes for images, what for vectors, and which head it chooses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data
from torch import Tensor

from umeta.core.errors import InputError
from umeta.images.learners.protonets import PrototypeProcedure
from umeta.images.named_classifier import NamedClassifier
from umeta.images.nets.conv4 import Conv4, Conv4Config
from umeta.images.preparation import Images, Preparation, check_several
from umeta.images.procedure import ImageLearningProcedure, check_labels

AUTO = "auto"
LINEAR_FROM = 10
IMAGES_NEED_A_RUN = "images need a run that embeds them: FewShotClassifier(run); without one, give vectors [n, d]"


class FewShotClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learn classes from a few labeled images of each, by a procedure that `umeta learn` made; a scikit-learn classifier.

    `X` is images or vectors. Images are an array [n, h, w] or [n, h, w, c] (uint8, or floats in `[0, 1]`), or a sequence of such single
    images, Pillow images or paths. Anything of two dimensions, [n, d], is vectors that are embedded already: by `embed` with the same run,
    or by another network, for which `run` is None. It is never read as flattened images.

    Args:
        run: A run folder, a procedure that `umeta.load` returned, or None to classify vectors only.
        head: How classes are learned in the embedding: a name that `umeta.load` lists, or "auto": the run's own way for fewer than 10
            examples a class, logistic regression ("linear") from there on. Runs that adapt by gradient steps have no other way.
        reject: Which share of images of none of the classes may be named all the same, such as 0.05; the others are predicted as "none of
            these", or -1 where classes are numbers. None names every image. Probabilities are those given that it is one of the classes.

    Attributes:
        classes_: Names, sorted.
        classifier_: The adapted classifier.
        examples_: What was learned from, as vectors or prepared images.
        labels_: One for each.

    Example:
        >>> FewShotClassifier().fit([[0.0, 0.0], [4.0, 4.0]], ["low", "high"]).predict([[1.0, 0.0]])
        array(['low'], dtype='<U4')
    """

    def __init__(self, run: str | Path | ImageLearningProcedure | None = None, head: str = AUTO, reject: float | None = None) -> None:
        self.run = run
        self.head = head
        self.reject = reject

    def fit(self, X: Any, y: Any) -> "FewShotClassifier":  # noqa: N803
        """Learn from labeled examples; what was learned before is forgotten.

        Raises:
            InputError: A `ValueError`: fewer than two classes, labels missing or of two kinds, no image or one alone, images without a run,
                or a head that there is not.
            BadImageError: A file cannot be read; the message names it.
        """
        procedure = self._procedure()
        return self._learn(procedure, *self._labeled(procedure, X, y, reset=True))

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> "FewShotClassifier":  # noqa: N803
        """Learn from further examples too: more shots of known classes, or new classes.

        Args:
            X: As for `fit`.
            y: One label each.
            classes: Not needed, since new classes may come with any call; other libraries pass it.
        """
        if not hasattr(self, "classifier_"):
            return self.fit(X, y)
        procedure = self._procedure()
        examples, labels = self._labeled(procedure, X, y, reset=False)
        check_labels([*self.labels_.tolist(), *labels.tolist()])
        return self._learn(procedure, torch.cat([self.examples_, examples]), np.concatenate([self.labels_, labels]))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each image or vector."""
        scores = self._scores(X)
        return self.classifier_.named(scores)

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return the probability of each class, in the order of `classes_`."""
        scores = self._scores(X)
        return self.classifier_.probabilities(scores)

    def embed(self, X: Images) -> NDArray[np.float32]:  # noqa: N803
        """Return images as vectors of the run's embedding, which `fit` and `predict` take too: embed once, try many heads."""
        procedure = self._procedure()
        if not isinstance(procedure.procedure, PrototypeProcedure) or self.run is None:
            raise InputError("there is no embedding to bring images to: give a run whose recipe has one")
        vectors: NDArray[np.float32] = procedure.inputs(X).numpy()
        return vectors

    def save(self, folder: str | Path, *, standalone: bool = False, overwrite: bool = False) -> None:
        """Write the adapted classifier for `umeta.load_classifier` and `umeta predict`; see `NamedClassifier.save`."""
        check_is_fitted(self)
        self.classifier_.save(folder, standalone=standalone, overwrite=overwrite)

    def _procedure(self) -> ImageLearningProcedure:
        if self.run is None:
            return ImageLearningProcedure(PrototypeProcedure(Conv4(Conv4Config(1, 1, 1), torch.Generator())), Preparation(1, 1), "no run")
        return self.run if isinstance(self.run, ImageLearningProcedure) else ImageLearningProcedure.load(self.run)

    def _learn(self, procedure: ImageLearningProcedure, examples: Tensor, labels: NDArray[Any]) -> "FewShotClassifier":
        classes = np.unique(labels)
        if self.head != AUTO:
            procedure = procedure.with_head(self.head)
        elif len(labels) >= LINEAR_FROM * len(classes) and isinstance(procedure.procedure, PrototypeProcedure):
            procedure = procedure.with_head("linear")
        self.classifier_: NamedClassifier = procedure.calibrated().learned(examples, labels, reject=self.reject)
        self.classes_, self.examples_, self.labels_ = classes, examples, labels
        return self

    def _labeled(self, procedure: ImageLearningProcedure, X: Any, y: Any, *, reset: bool) -> tuple[Tensor, NDArray[Any]]:  # noqa: N803
        if y is None:
            raise InputError("requires y to be passed, but the target y is None: give one label per image")
        if not _are_images(X):
            X, y = validate_data(self, X, y, dtype=np.float32, reset=reset)  # noqa: N806
        check_labels(y)
        labels: NDArray[Any] = column_or_1d(y, warn=True)
        check_consistent_length(X, labels)
        check_classification_targets(labels)
        if not _are_images(X):
            return self._vectors(X, procedure), labels
        if self.run is None:
            raise InputError(IMAGES_NEED_A_RUN)
        return procedure.inputs(X), labels

    def _vectors(self, X: NDArray[np.float32], procedure: ImageLearningProcedure) -> Tensor:  # noqa: N803
        inner = procedure.procedure
        if self.run is not None and not isinstance(inner, PrototypeProcedure):
            raise InputError(f"{procedure.recipe} has no embedding, so vectors mean nothing to it; give images")
        if self.run is not None and isinstance(inner, PrototypeProcedure):
            wanted = procedure.preparation
            n_dim = inner.net(torch.zeros(1, wanted.channels, wanted.side, wanted.side)).shape[1]
            if n_dim != X.shape[1]:
                raise InputError(
                    f"X is {list(X.shape)}, but vectors of this run have {n_dim} dimensions; give images, or what `embed` returns"
                )
        return torch.from_numpy(np.ascontiguousarray(X))

    def _scores(self, X: Any) -> Tensor:  # noqa: N803
        check_is_fitted(self)
        if not _are_images(X):
            vectors = validate_data(self, X, dtype=np.float32, reset=False)
            if vectors.shape[1:] != self.examples_.shape[1:]:
                raise InputError(f"X is {list(vectors.shape)}, but the examples were {list(self.examples_.shape)}; give the same kind")
            return self.classifier_.scores(torch.from_numpy(np.ascontiguousarray(vectors)))
        if self.run is None:
            raise InputError(IMAGES_NEED_A_RUN)
        return self.classifier_.scores(self.classifier_.preparation.batch(X))


def _are_images(X: Any) -> bool:  # noqa: N803
    """Tell images from vectors: more than two dimensions, or a sequence of files, pictures or arrays of at least two; not one, not none."""
    check_several(X)
    if getattr(X, "ndim", 1) >= 3:
        return True
    if getattr(X, "ndim", 1) != 1 or not isinstance(X, Sequence | np.ndarray):
        return False
    if len(X) == 0:
        raise InputError("there is no image or vector; give at least one")
    return isinstance(X[0], str | Path | Image.Image) or getattr(X[0], "ndim", 0) >= 2
