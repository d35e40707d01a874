"""Knows how what was meta-learned turns a user's labeled images into a classifier, in any head, with honest probabilities."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from umeta.artifacts.artifact import check_place, read_artifact, write_artifact
from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.images.cache import ImageCache
from umeta.images.calibration import Calibration
from umeta.images.embed.encoder import embed_all
from umeta.images.episode import Examples
from umeta.images.learners.classifier import ImageClassifier, ImageProcedure
from umeta.images.learners.heads import HEADS
from umeta.images.learners.maml import GradientProcedure
from umeta.images.learners.protonets import PrototypeProcedure, embedded
from umeta.images.named_classifier import PROCEDURE, NamedClassifier, Origin, artifact_folder
from umeta.images.preparation import Images, Preparation, check_several

GRADIENT = "gradient"
_PROCEDURES: Mapping[str, Callable[..., ImageProcedure]] = {
    "prototypes": PrototypeProcedure.restore,
    "gradient": GradientProcedure.restore,
}


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
        found = artifact_folder(folder, PROCEDURE)
        tensors, info = read_artifact(found, PROCEDURE)
        procedure = _PROCEDURES[info["procedure"]["type"]](info["procedure"], tensors)
        return cls(procedure, Preparation(**info["preparation"]), info["recipe"], Origin.of(found))
