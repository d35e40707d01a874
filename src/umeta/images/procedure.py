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

from umeta.artifacts.artifact import DESCRIPTION, read_artifact, write_artifact
from umeta.core.errors import ArtifactError, InputError
from umeta.core.rng import Rng
from umeta.images.cache import ImageCache
from umeta.images.embed.encoder import embed_all, to_float
from umeta.images.episode import Examples
from umeta.images.learners.classifier import ImageClassifier, ImageProcedure
from umeta.images.learners.heads import HEADS
from umeta.images.learners.maml import GradientClassifier, GradientProcedure
from umeta.images.learners.protonets import PrototypeClassifier, PrototypeProcedure
from umeta.images.pixels import decode_file, decode_image, fit_square
from umeta.images.source import ArraySource, read_stacked

PROCEDURE, CLASSIFIER = "procedure", "classifier"
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
            if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
                raise InputError(f"an image has dtype {array.dtype} with values outside [0, 1]; give uint8, or floats in [0, 1]")
            array = np.round(array * 255).astype(np.uint8)
        return fit_square(array, self.side, self.channels)

    def batch(self, images: Images) -> Float[Tensor, "n c side side"]:
        """Return images as one tensor with values in `[0, 1]`."""
        arrays = [self.pixels(image) for image in images]
        shape = (len(arrays), self.channels, self.side, self.side)
        stacked = np.stack(arrays).reshape(shape) if arrays else np.zeros(shape, np.uint8)
        return to_float(torch.from_numpy(stacked))

    def pool(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return uint8 images [n, c, h, w] in this size and with these channels."""
        if images.shape[1:] == (self.channels, self.side, self.side):
            return images
        if len(images) == 0:
            return np.empty((0, self.channels, self.side, self.side), np.uint8)
        return read_stacked(ArraySource(np.moveaxis(images, 1, -1), "images"), self.side, self.channels)


@dataclass(frozen=True)
class NamedClassifier:
    """A few-shot classifier that speaks the user's class names.

    Attributes:
        classifier: What adaptation gave.
        classes: Names, in the order of probabilities.
        preparation: What images are brought to.
    """

    classifier: ImageClassifier
    classes: tuple[Any, ...]
    preparation: Preparation

    def predict_proba(self, images: Images) -> NDArray[np.float32]:
        """Return the probability of each class for each image, shape [n, n_classes]."""
        if len(images) == 0:
            return np.zeros((0, len(self.classes)), np.float32)
        scores: NDArray[np.float32] = self.classifier.logits(self.preparation.batch(images)).softmax(-1).numpy()
        return scores

    def predict(self, images: Images) -> NDArray[Any]:
        """Return the most probable class of each image."""
        names: NDArray[Any] = np.asarray(self.classes)[self.predict_proba(images).argmax(-1)]
        return names

    def save(self, folder: Path | str) -> None:
        """Write the classifier with everything that it needs."""
        info = {"classifier": self.classifier.describe(), "classes": [str(name) for name in self.classes]}
        info["preparation"] = {"channels": self.preparation.channels, "side": self.preparation.side}
        write_artifact(Path(folder), CLASSIFIER, self.classifier.tensors(), info)

    @classmethod
    def load(cls, folder: Path | str) -> "NamedClassifier":
        """Read a classifier that `save` wrote; names come back as text."""
        tensors, info = read_artifact(_artifact_folder(folder, CLASSIFIER), CLASSIFIER)
        classifier = _CLASSIFIERS[info["classifier"]["type"]](info["classifier"], tensors)
        return cls(classifier, tuple(info["classes"]), Preparation(**info["preparation"]))


@dataclass(frozen=True)
class ImageLearningProcedure:
    """What `umeta learn` makes: a learning procedure for images of any size with classes of any name.

    Attributes:
        procedure: What was meta-learned.
        preparation: What images are brought to.
        recipe: What it was made by.
    """

    procedure: ImageProcedure
    preparation: Preparation
    recipe: str

    @property
    def transductive(self) -> bool:
        """Whether a prediction depends on the other queries."""
        return self.procedure.transductive

    def adapt(self, support: tuple[Images, Sequence[Any]], rng: Rng | None = None) -> NamedClassifier:
        """Learn from a few labeled images.

        Args:
            support: Images (one array, or a sequence of arrays, Pillow images or paths) and one label for each; any number of classes, any
                and unequal numbers of examples.
            rng: For procedures that draw random numbers; None takes seed 0.

        Raises:
            InputError: Another number of labels than images, or fewer than two classes.
        """
        images, labels = support
        names = np.asarray(labels)
        if names.ndim != 1 or len(images) != len(names):
            raise InputError(f"{len(images)} images came with labels of shape {list(names.shape)}; give one label per image")
        classes, index = np.unique(names, return_inverse=True)
        if len(classes) < 2:
            raise InputError(f"a classifier needs at least 2 classes, the examples have {len(classes)}")
        examples = Examples(self.preparation.batch(images), torch.from_numpy(index.astype(np.int64)), len(classes))
        classifier = self.procedure.adapt(examples, rng or Rng.from_seed(0))
        return NamedClassifier(classifier, tuple(classes.tolist()), self.preparation)

    def save(self, folder: Path) -> None:
        """Write the procedure's artifact."""
        info: dict[str, Any] = {"procedure": self.procedure.describe(), "recipe": self.recipe}
        info["preparation"] = {"channels": self.preparation.channels, "side": self.preparation.side}
        write_artifact(folder, PROCEDURE, self.procedure.tensors(), info)

    def with_head(self, name: str, run: Path | str) -> "ImageLearningProcedure":
        """Return a procedure that learns tasks another way in the same embedding.

        Args:
            name: One of `HEADS`.
            run: The run folder; "center" takes the mean of its images.

        Raises:
            InputError: No such head, or a procedure without an embedding.
        """
        if name not in HEADS:
            raise InputError(f"there is no head {name!r}; there are {', '.join(HEADS)}")
        if not isinstance(self.procedure, PrototypeProcedure):
            raise InputError(f"heads work on an embedding, and {self.recipe} has none: it adapts by gradient steps on its network")
        net = self.procedure.net
        head = HEADS[name](self.procedure.head.metric, lambda: embed_all(net, ImageCache.open(Path(run) / "cache").images).mean(0))
        return replace(self, procedure=replace(self.procedure, head=head))

    @classmethod
    def load(cls, folder: Path | str) -> "ImageLearningProcedure":
        """Read the procedure of a run folder."""
        tensors, info = read_artifact(_artifact_folder(folder, PROCEDURE), PROCEDURE)
        procedure = _PROCEDURES[info["procedure"]["type"]](info["procedure"], tensors)
        return cls(procedure, Preparation(**info["preparation"]), info["recipe"])


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
