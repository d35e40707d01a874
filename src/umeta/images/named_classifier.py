"""Knows how a few-shot classifier answers in the user's class names, and how it is kept beside the run that it came from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from umeta.artifacts.artifact import DESCRIPTION, check_place, read_artifact, read_json, write_artifact
from umeta.core.errors import ArtifactError, InputError
from umeta.images.learners.classifier import ImageClassifier
from umeta.images.learners.maml import GradientClassifier
from umeta.images.learners.protonets import PrototypeClassifier
from umeta.images.preparation import Images, Preparation, check_several

PROCEDURE, CLASSIFIER = "procedure", "classifier"
NONE = "none of these"
_CLASSIFIERS: Mapping[str, Callable[..., ImageClassifier]] = {
    "prototypes": PrototypeClassifier.restore,
    "gradient": GradientClassifier.restore,
}
FILE_SUFFIXES_NEVER_OPENED = (".pkl", ".pickle", ".pt", ".pth", ".joblib")


@dataclass(frozen=True)
class Origin:
    """The run that a procedure was read from.

    Attributes:
        folder: Of the procedure's artifact.
        digest: Of its content.
    """

    folder: Path
    digest: str

    @classmethod
    def of(cls, folder: Path) -> "Origin":
        """Return where an artifact is and what is in it."""
        content = read_json(folder / DESCRIPTION)
        return cls(folder.absolute(), f"{content.get('sha256')} {content.get('info_sha256')}")

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder.parent


@dataclass(frozen=True)
class NamedClassifier:
    """A few-shot classifier that speaks the user's class names.

    Attributes:
        classifier: What adaptation gave.
        classes: Names, in the order of probabilities.
        preparation: What images are brought to.
        temperature: What scores are divided by before they become probabilities.
        threshold: An image whose best score is below it is none of the classes; None names every image.
        origin: The run behind it; None if it was learned by a procedure that was never on disk.
    """

    classifier: ImageClassifier
    classes: tuple[Any, ...]
    preparation: Preparation
    temperature: float = 1.0
    threshold: float | None = None
    origin: Origin | None = None

    @property
    def none(self) -> Any:
        """What an image of none of the classes is called: -1 among numbers, else "none of these"."""
        return NONE if np.asarray(self.classes).dtype.kind in "USO" else -1

    def scores(self, inputs: Tensor) -> Float[Tensor, "n n_way"]:
        """Score prepared images or embedded vectors; softmax over the temperature gives probabilities."""
        return self.classifier.logits(inputs)

    def named(self, scores: Float[Tensor, "n n_way"]) -> NDArray[Any]:
        """Return the name of the best class of each row, or that it is none of them."""
        names: NDArray[Any] = np.asarray(self.classes)[scores.argmax(-1).numpy()]
        if self.threshold is None:
            return names
        strange = scores.amax(-1).numpy() < self.threshold
        return np.where(strange, np.asarray(self.none), names)

    def answers(self, images: Images) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Return what `predict` and `predict_proba` do, for images that are scored once."""
        check_several(images)
        if len(images) == 0:
            return np.asarray(self.classes)[:0], np.zeros((0, len(self.classes)), np.float32)
        scores = self.scores(self.preparation.batch(images))
        return self.named(scores), self.probabilities(scores)

    def predict_proba(self, images: Images) -> NDArray[np.float32]:
        """Return the probability of each class for each image, shape [n, n_classes], given that it is one of them."""
        return self.answers(images)[1]

    def probabilities(self, scores: Float[Tensor, "n n_way"]) -> NDArray[np.float32]:
        """Return scores as probabilities."""
        shares: NDArray[np.float32] = (scores / self.temperature).softmax(-1).numpy()
        return shares

    def predict(self, images: Images) -> NDArray[Any]:
        """Return the most probable class of each image, or `none` where a threshold says so."""
        return self.answers(images)[0]

    def save(self, folder: Path | str, *, standalone: bool = False, overwrite: bool = False) -> None:
        """Write the classifier.

        Args:
            folder: Where it goes.
            standalone: Write all that it needs, the network too. Otherwise tensors that are in the run are left there, and the run is named
                by folder and hash; a classifier without a run is always whole.
            overwrite: Replace a classifier that is there.

        Raises:
            InputError: A classifier is there that is not to be replaced, or something else, which is left alone.
        """
        check_place(Path(folder), CLASSIFIER, overwrite=overwrite)
        tensors = self.classifier.tensors()
        info: dict[str, Any] = {"classifier": self.classifier.describe(), "classes": [str(name) for name in self.classes]}
        info["preparation"] = {"channels": self.preparation.channels, "side": self.preparation.side}
        info |= {"temperature": self.temperature, "threshold": self.threshold}
        if self.origin is not None and not standalone:
            there, _ = read_artifact(self.origin.folder, PROCEDURE)
            shared = sorted(name for name, value in tensors.items() if name in there and torch.equal(there[name], value))
            tensors = {name: value for name, value in tensors.items() if name not in shared}
            if shared:
                info["run"] = {"procedure": str(self.origin.folder), "digest": self.origin.digest, "tensors": shared}
        write_artifact(Path(folder), CLASSIFIER, tensors, info)

    @classmethod
    def load(cls, folder: Path | str, *, run: Path | str | None = None) -> "NamedClassifier":
        """Read a classifier that `save` wrote; names come back as text.

        Args:
            folder: The classifier.
            run: Where its run is now, if it was moved.

        Raises:
            ArtifactError: A file is damaged, or the run is gone or another one.
        """
        folder = artifact_folder(folder, CLASSIFIER)
        tensors, info = read_artifact(folder, CLASSIFIER)
        origin = None
        if reference := info.get("run"):
            origin = _found(folder, reference, run)
            there, _ = read_artifact(origin.folder, PROCEDURE)
            tensors |= {name: there[name] for name in reference["tensors"]}
        classifier = _CLASSIFIERS[info["classifier"]["type"]](info["classifier"], tensors)
        sure = (info.get("temperature", 1.0), info.get("threshold"))
        return cls(classifier, tuple(info["classes"]), Preparation(**info["preparation"]), *sure, origin)


def _found(folder: Path, reference: Mapping[str, Any], run: Path | str | None) -> Origin:
    """Return the run that a classifier needs, after a check that it is the same one."""
    place = Path(reference["procedure"]) if run is None else Path(run) / PROCEDURE
    if not (place / DESCRIPTION).is_file():
        raise ArtifactError(
            f"{folder} needs the run {place.parent}, which is not there; give the run's new place (--run), or adapt again with --standalone"
        )
    origin = Origin.of(place)
    if origin.digest != reference["digest"]:
        raise ArtifactError(f"{folder} was adapted from another procedure than the one that is in {place.parent} now; adapt again")
    return origin


def artifact_folder(folder: Path | str, kind: str) -> Path:
    """Return the folder that holds an artifact: the one given, or the one of that name inside it."""
    path = Path(folder)
    if path.suffix.lower() in FILE_SUFFIXES_NEVER_OPENED:
        raise InputError(f"{path} is not opened: pickled files can run code; give a folder that umeta wrote")
    if not path.exists():
        raise InputError(f"{path} does not exist; give a folder that umeta wrote")
    found = path if (path / DESCRIPTION).is_file() else path / kind
    if not found.is_dir():
        started, finished = (path / "config.json").is_file(), (path / "manifest.json").is_file()
        unfinished = " (the run has not finished; go on with --resume)" if started and not finished else ""
        raise ArtifactError(f"{path} holds no {kind}{unfinished}")
    return found
