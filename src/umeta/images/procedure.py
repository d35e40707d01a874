"""Knows how a trained procedure meets the images and class names of a user: arrays, files or pictures in, names out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from umeta.artifacts.artifact import DESCRIPTION, check_place, read_artifact, read_json, write_artifact
from umeta.core.errors import ArtifactError, InputError
from umeta.core.rng import Rng
from umeta.images.cache import ImageCache
from umeta.images.calibration import Calibration
from umeta.images.embed.encoder import embed_all, to_float
from umeta.images.episode import Examples
from umeta.images.learners.classifier import ImageClassifier, ImageProcedure
from umeta.images.learners.heads import HEADS
from umeta.images.learners.maml import GradientClassifier, GradientProcedure
from umeta.images.learners.protonets import PrototypeClassifier, PrototypeProcedure, embedded
from umeta.images.pixels import BadImageError, decode_file, decode_image, fit_square
from umeta.images.source import ArraySource, read_stacked

PROCEDURE, CLASSIFIER = "procedure", "classifier"
GRADIENT = "gradient"
NONE = "none of these"
_PROCEDURES: Mapping[str, Callable[..., ImageProcedure]] = {
    "prototypes": PrototypeProcedure.restore,
    "gradient": GradientProcedure.restore,
}
_CLASSIFIERS: Mapping[str, Callable[..., ImageClassifier]] = {
    "prototypes": PrototypeClassifier.restore,
    "gradient": GradientClassifier.restore,
}
OneImage: TypeAlias = "NDArray[np.generic] | Image.Image | Path | str"
Images: TypeAlias = "NDArray[np.generic] | Sequence[OneImage]"
FILE_SUFFIXES_NEVER_OPENED = (".pkl", ".pickle", ".pt", ".pth", ".joblib")


def check_several(images: Any) -> None:
    """Refuse one image where several are meant, whose letters or rows would be taken for images.

    Raises:
        InputError: It is a path or a picture, or an array [h, w, 1] or [h, w, 3].
    """
    if isinstance(images, str | Path | Image.Image):
        raise InputError(f"{images} is one image; give a list of paths" if not isinstance(images, Image.Image) else "give a list of images")
    shape: tuple[int, ...] = getattr(images, "shape", ())
    if len(shape) == 3 and shape[2] in (1, 3):
        raise InputError(f"images have shape {list(shape)}; one image? give images[None]")


def check_labels(labels: Any) -> None:
    """Refuse labels that NumPy would make text of: None, NaN, and numbers among text.

    Raises:
        InputError: A label is missing, or labels are of two kinds.
    """
    every = np.asarray(labels, dtype=object).ravel().tolist()
    if any(label is None or (isinstance(label, float) and label != label) for label in every):
        raise InputError("a label is missing (None or NaN); give one label per image")
    if len({isinstance(label, str) for label in every}) > 1:
        raise InputError("some labels are text and some are numbers; give one kind")


@dataclass(frozen=True)
class Preparation:
    """The size and channels that a procedure wants; images are brought there by the same rules as the training pool.

    Attributes:
        channels: 1 (gray) or 3 (color).
        side: In pixels; the short side is scaled to it and the middle is cut out.
    """

    channels: int
    side: int

    def pixels(self, image: OneImage) -> NDArray[np.uint8]:
        """Return one image as uint8 [c, side, side]; floats are taken to lie in `[0, 1]`."""
        if isinstance(image, str | Path):
            array: NDArray[Any] = decode_file(Path(image))
        elif isinstance(image, Image.Image):
            array = decode_image(image)
        else:
            array = np.asarray(image)
        if array.ndim == 3 and array.shape[-1] not in (1, 3) and array.shape[0] in (1, 3):
            array = np.moveaxis(array, 0, -1)
        if array.ndim == 3 and array.shape[-1] == 1:
            array = array[..., 0]
        if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3) or 0 in array.shape:
            raise InputError(f"an image has shape {list(array.shape)}; give [h, w], [h, w, 1], [h, w, 3] or channels first")
        if array.dtype != np.uint8:
            if not np.issubdtype(array.dtype, np.floating):
                raise InputError(f"an image has dtype {array.dtype}; images must be uint8, or floats in [0, 1]")
            if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
                raise InputError(f"an image has dtype {array.dtype} with values outside [0, 1]; give uint8, or floats in [0, 1]")
            array = np.round(array * 255).astype(np.uint8)
        return fit_square(array, self.side, self.channels)

    def stacked(self, images: Images) -> NDArray[np.uint8]:
        """Return images as one array, uint8 [n, c, side, side].

        Raises:
            InputError: There is one image where several are meant, or what is no image.
            BadImageError: A file or picture cannot be read; the message names the path, or the place in the sequence.
        """
        check_several(images)
        prepared = np.empty((len(images), self.channels, self.side, self.side), np.uint8)
        for index, image in enumerate(images):
            try:
                prepared[index] = self.pixels(image)
            except (BadImageError, InputError) as error:
                raise type(error)(f"{image if isinstance(image, str | Path) else f'image {index}'}: {error}") from error
        return prepared

    def batch(self, images: Images) -> Float[Tensor, "n c side side"]:
        """Return images as one tensor with values in `[0, 1]`; raises what `stacked` does."""
        return to_float(torch.from_numpy(self.stacked(images)))

    def pool(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return uint8 images [n, c, h, w] in this size and with these channels."""
        if images.shape[1:] == (self.channels, self.side, self.side):
            return images
        if len(images) == 0:
            return np.empty((0, self.channels, self.side, self.side), np.uint8)
        return read_stacked(ArraySource(np.moveaxis(images, 1, -1), "images"), self.side, self.channels)


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
        folder = _artifact_folder(folder, CLASSIFIER)
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


@dataclass(frozen=True)
class ImageLearningProcedure:
    """What `umeta learn` makes: a learning procedure for images of any size with classes of any name.

    Attributes:
        procedure: What was meta-learned.
        preparation: What images are brought to.
        recipe: What it was made by.
        origin: The run that it was read from; None if it was never on disk.
        calibration: What makes its classifiers' probabilities honest; None leaves scores as they are.
    """

    procedure: ImageProcedure
    preparation: Preparation
    recipe: str
    origin: Origin | None = None
    calibration: Calibration | None = None

    @property
    def transductive(self) -> bool:
        """Whether a prediction depends on the other queries."""
        return self.procedure.transductive

    @torch.no_grad()
    def inputs(self, images: Images) -> Float[Tensor, "n *shape"]:
        """Return what classifiers score: vectors of the embedding if there is one, else prepared images."""
        batch = self.preparation.batch(images)
        return embedded(self.procedure.net, batch) if isinstance(self.procedure, PrototypeProcedure) else batch

    def adapt(self, support: tuple[Images, Sequence[Any]], rng: Rng | None = None, *, reject: float | None = None) -> NamedClassifier:
        """Learn from a few labeled images.

        Args:
            support: Images (one array, or a sequence of arrays, Pillow images or paths) and one label for each; any number of classes, any
                and unequal numbers of examples.
            rng: For procedures that draw random numbers; None takes seed 0.
            reject: See `learned`.

        Raises:
            InputError: Another number of labels than images, labels missing or of two kinds, or fewer than two classes.
        """
        images, labels = support
        check_several(images)
        check_labels(labels)
        names = np.asarray(labels)
        if names.ndim != 1 or len(images) != len(names):
            raise InputError(f"{len(images)} images came with labels of shape {list(names.shape)}; give one label per image")
        if len(names) == 0:
            raise InputError("a classifier needs at least 2 classes, the examples have 0")
        return self.learned(self.inputs(images), names, rng, reject=reject)

    def learned(
        self, inputs: Float[Tensor, "n *shape"], names: NDArray[Any], rng: Rng | None = None, *, reject: float | None = None
    ) -> NamedClassifier:
        """Learn from examples that are what `inputs` returns.

        Args:
            inputs: The examples.
            names: One label for each.
            rng: For procedures that draw random numbers; None takes seed 0.
            reject: Which share of images that show none of the classes may be named all the same, in `(0, 1)`; estimated on images of the
                run's pool, nearly all of which should be strangers to the classes: of classes that fill a tenth of the pool, many images
                are rejected too. None names every image.

        Raises:
            InputError: Fewer than two classes, or `reject` where it cannot be, as with a class named like images of none.
        """
        classes, index = np.unique(names, return_inverse=True)
        if len(classes) < 2:
            raise InputError(f"a classifier needs at least 2 classes, the examples have {len(classes)} class")
        rng = rng or Rng.from_seed(0)
        labels = torch.from_numpy(index.astype(np.int64))
        classifier = self.procedure.adapt(Examples(inputs, labels, len(classes)), rng)
        temperature, threshold = 1.0, None
        if self.calibration is not None:
            if isinstance(self.procedure, PrototypeProcedure):
                temperature = float(self.calibration.temperature(self.procedure.head, inputs, labels, len(classes), rng))
            else:
                temperature = self.calibration.prior(len(labels) / len(classes))
        if reject is not None:
            threshold = self._threshold(classifier, reject)
        named = NamedClassifier(classifier, tuple(classes.tolist()), self.preparation, temperature, threshold, self.origin)
        if reject is not None and named.none in named.classes:
            raise InputError(f"a class is named {named.none!r}, as images of no class are; rename it, or leave out reject")
        return named

    def _threshold(self, classifier: ImageClassifier, reject: Any) -> float:
        if not isinstance(reject, int | float | np.floating) or not 0 < reject < 1:
            raise InputError(f"reject is {reject!r}; give the share of strangers that may be named, above 0 and below 1, such as 0.05")
        if self.calibration is None:
            raise InputError("reject needs images of a run's pool; give a run that umeta.load has read")
        if self.transductive:
            raise InputError("reject needs scores that do not depend on the other images; choose another head")
        return float(classifier.logits(self.calibration.strangers).amax(-1).quantile(1 - float(reject)))

    def save(self, folder: Path) -> None:
        """Write the procedure's artifact in place of an earlier one; anything else that is there is left alone."""
        check_place(folder, PROCEDURE, overwrite=True)
        info: dict[str, Any] = {"procedure": self.procedure.describe(), "recipe": self.recipe}
        info["preparation"] = {"channels": self.preparation.channels, "side": self.preparation.side}
        write_artifact(folder, PROCEDURE, self.procedure.tensors(), info)

    def with_head(self, name: str, run: Path | str | None = None) -> "ImageLearningProcedure":
        """Return a procedure that learns tasks another way in the same embedding.

        Args:
            name: One of `HEADS`, or "gradient": the steps on the network that a procedure without an embedding takes.
            run: The run folder, if it is not the one that the procedure was read from; "center" takes the mean of its images.

        Raises:
            InputError: No such head, or one that this procedure cannot have.
        """
        if name not in (*HEADS, GRADIENT):
            raise InputError(f"there is no head {name!r}; there are {', '.join((*HEADS, GRADIENT))}")
        if not isinstance(self.procedure, PrototypeProcedure):
            if name == GRADIENT:
                return self
            raise InputError(f"heads work on an embedding, and {self.recipe} has none: it adapts by gradient steps on its network")
        if name == GRADIENT:
            raise InputError(f"{self.recipe} was not trained to adapt by gradient steps; give a run of cactus-maml, or another head")
        net, place = self.procedure.net, Path(run) if run is not None else self.origin.run if self.origin else None

        def mean() -> Tensor:
            if place is None:
                raise InputError(f'the head "{name}" needs the images of a run; give a procedure that was loaded from one')
            return embed_all(net, ImageCache.open(place / "cache").images).mean(0)

        head = HEADS[name](self.procedure.head.metric, mean)
        return replace(self, procedure=replace(self.procedure, head=head), calibration=None)

    def calibrated(self) -> "ImageLearningProcedure":
        """Return a procedure whose probabilities are honest as far as proposed tasks tell; see `Calibration.of_run`.

        One that is calibrated already, or comes from no run, is returned as it is.
        """
        if self.calibration is not None or self.origin is None or not (self.origin.run / "cache").is_dir():
            return self
        return replace(self, calibration=Calibration.of_run(self.procedure, self.origin.run, self.origin.digest))

    @classmethod
    def load(cls, folder: Path | str) -> "ImageLearningProcedure":
        """Read the procedure of a run folder, without calibration."""
        found = _artifact_folder(folder, PROCEDURE)
        tensors, info = read_artifact(found, PROCEDURE)
        procedure = _PROCEDURES[info["procedure"]["type"]](info["procedure"], tensors)
        return cls(procedure, Preparation(**info["preparation"]), info["recipe"], Origin.of(found))


def _artifact_folder(folder: Path | str, kind: str) -> Path:
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
