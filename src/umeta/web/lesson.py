"""Knows what has been taught in one session: classes, examples, the way back, and the classifier that follows from them."""

import io
import secrets
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from umeta.core.errors import InputError
from umeta.core.rng import Rng
from umeta.images.cache import ImageCache
from umeta.images.drawing import DrawingStyle
from umeta.images.learners.protonets import PrototypeClassifier
from umeta.images.named_classifier import NONE, NamedClassifier
from umeta.images.novelty import Novelty, farthest_first
from umeta.images.procedure import ImageLearningProcedure
from umeta.recipes.request import are_drawings, spread

MAX_SESSIONS = 64
MAX_CLASSES = 50
MAX_EXAMPLES = 500
MAX_NAME = 60
MAX_BACK = 50
NONE_ABOVE = 0.1
LOOKED_AT = 512


class UnknownError(InputError):
    """There is no such session, class or example, or no longer."""


class NotYetError(InputError):
    """What was asked needs more examples than there are."""


@dataclass(frozen=True)
class Example:
    """One taught image.

    Attributes:
        key: What the page calls it.
        name: Of its class.
        pixels: Shape [c, side, side].
    """

    key: str
    name: str
    pixels: NDArray[np.uint8]

    def png(self) -> bytes:
        """Return the pixels as a PNG, from which they come back as they are."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels[0] if len(self.pixels) == 1 else np.moveaxis(self.pixels, 0, -1)).save(buffer, "PNG")
        return buffer.getvalue()


@dataclass(frozen=True)
class Taught:
    """Classes in the order in which they were named, and their examples."""

    classes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Teacher:
    """A run's procedure with what a page needs to know of its images.

    Attributes:
        run: The run's name.
        procedure: What learns.
        style: How the pool's drawings are drawn; None if they are photos.
        novelty: How alike unrelated images are.
    """

    run: str
    procedure: ImageLearningProcedure
    style: DrawingStyle | None
    novelty: Novelty

    @classmethod
    def of(cls, run: Path) -> "Teacher":
        """Read a finished run; a few seconds."""
        procedure = ImageLearningProcedure.load(run)
        pool = ImageCache.open(run / "cache").images
        style = DrawingStyle.of(spread(pool, LOOKED_AT)) if are_drawings(pool) else None
        novelty = Novelty.of(procedure.procedure.encoder, pool, Rng.from_seed(0).fork("novelty"))
        return cls(run.resolve().name, procedure, style, novelty)


@dataclass
class Lesson:
    """One session. Every change is a new `Taught`; those before are the way back.

    Attributes:
        teacher: What learns.
        taught: What there is now.
        back: What there was, newest last.
        revision: Counts changes, so that a second tab sees that it is behind.
    """

    teacher: Teacher
    taught: Taught = field(default_factory=Taught)
    back: list[Taught] = field(default_factory=list)
    revision: int = 0
    _learned: tuple[Taught, NamedClassifier, Tensor] | None = None

    def told(self) -> dict[str, Any]:
        """Return the state, JSON-ready."""
        examples = [{"id": example.key, "class": example.name} for example in self.taught.examples]
        return {"revision": self.revision, "classes": list(self.taught.classes), "examples": examples, "can_undo": bool(self.back)}

    def name(self, name: str) -> None:
        """Add a class without examples; one that is there stays."""
        if name not in self.taught.classes:
            self._change(self._with_class(self.taught, name))

    def drop_class(self, name: str) -> None:
        """Remove a class with its examples."""
        self._require_class(name)
        kept = tuple(example for example in self.taught.examples if example.name != name)
        self._change(Taught(tuple(other for other in self.taught.classes if other != name), kept))

    def add(self, named: Sequence[tuple[str, NDArray[np.uint8]]]) -> None:
        """Add examples, each with the name of its class, in one change.

        Raises:
            InputError: There would be too many.
        """
        taught = self.taught
        for name, _ in named:
            taught = self._with_class(taught, name)
        if len(taught.examples) + len(named) > MAX_EXAMPLES:
            raise InputError(f"a session holds up to {MAX_EXAMPLES} examples; there are {len(taught.examples)}, and {len(named)} more came")
        prepare = self.teacher.procedure.preparation.pixels
        fresh = tuple(Example(secrets.token_urlsafe(9), name, prepare(pixels)) for name, pixels in named)
        self._change(replace(taught, examples=taught.examples + fresh))

    def drop(self, key: str) -> None:
        """Remove an example; its class stays."""
        gone = self.example(key)
        self._change(replace(self.taught, examples=tuple(example for example in self.taught.examples if example is not gone)))

    def undo(self) -> None:
        """Go back before the last change."""
        if not self.back:
            raise NotYetError("there is nothing to undo")
        self.taught = self.back.pop()
        self.revision += 1

    def example(self, key: str) -> Example:
        """Return one example."""
        for example in self.taught.examples:
            if example.key == key:
                return example
        raise UnknownError("there is no such example; it may have been removed in another tab")

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[dict[str, Any]]:
        """Return for each image the most probable class, all probabilities, and how often an unrelated image would be as near.

        Raises:
            NotYetError: Fewer than two classes have examples.
        """
        taught, classifier, support = self._classifier()
        batch = classifier.preparation.batch(list(images))
        logits, embedded = self._scores(classifier, batch)
        index = {name: place for place, name in enumerate(classifier.classes)}
        labels = torch.tensor([index[example.name] for example in taught.examples])
        chances = self.teacher.novelty.chance(embedded, support, labels, len(index))
        answers = []
        for row, chance in zip(logits.softmax(-1).tolist(), chances.tolist(), strict=True):
            named = {name: round(row[place], 6) for name, place in index.items()}
            best = max(named, key=lambda name: named[name])
            answers.append(
                {"label": best, "probability": named[best], "probabilities": named, "chance": round(chance, 4), "none": chance > NONE_ABOVE}
            )
        return answers

    def suggest(self, images: Sequence[NDArray[np.uint8]], n: int) -> Sequence[int]:
        """Return which images to label next: those that differ most from the examples and from one another."""
        prepare = self.teacher.procedure.preparation.batch
        embedded = self._embed(prepare(list(images)))
        taught = [example.pixels for example in self.taught.examples]
        known = self._embed(prepare(taught)) if taught else embedded[:0]
        return farthest_first(embedded, known, n)

    def export(self) -> bytes:
        """Return the classifier as a zip, for `umeta predict` and `umeta.load_classifier`."""
        _, classifier, _ = self._classifier()
        buffer = io.BytesIO()
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            classifier.save(Path(folder) / "classifier")
            for path in sorted(Path(folder).rglob("*")):
                archive.write(path, path.relative_to(folder))
        return buffer.getvalue()

    def _change(self, taught: Taught) -> None:
        self.back = [*self.back, self.taught][-MAX_BACK:]
        self.taught = taught
        self.revision += 1

    def _with_class(self, taught: Taught, name: str) -> Taught:
        if name in taught.classes:
            return taught
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise InputError(f"the name of a class has 1 to {MAX_NAME} printable characters")
        if name.strip().lower() == NONE:
            raise InputError(f"images of no class are called {NONE!r}; give the class another name")
        if len(taught.classes) >= MAX_CLASSES:
            raise InputError(f"a session holds up to {MAX_CLASSES} classes; remove one first")
        return replace(taught, classes=(*taught.classes, name))

    def _require_class(self, name: str) -> None:
        if name not in self.taught.classes:
            raise UnknownError("there is no such class; it may have been removed in another tab")

    def _classifier(self) -> tuple[Taught, NamedClassifier, Tensor]:
        if self._learned is None or self._learned[0] is not self.taught:
            examples = self.taught.examples
            n = len({example.name for example in examples})
            if n < 2:
                have = "no class has an example yet" if n == 0 else "only one class has examples"
                raise NotYetError(f"{have}; give examples of at least two classes")
            pixels, names = [example.pixels for example in examples], [example.name for example in examples]
            classifier = self.teacher.procedure.adapt((pixels, names))
            self._learned = (self.taught, classifier, self._embed(classifier.preparation.batch(pixels)))
        return self._learned

    @torch.no_grad()
    def _embed(self, batch: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        return self.teacher.procedure.procedure.encoder(batch)

    @torch.no_grad()
    def _scores(self, named: NamedClassifier, batch: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor]:
        """Return scores and embedding of images, which go through the network once where the two have it in common."""
        embedded, classifier = self._embed(batch), named.classifier
        if isinstance(classifier, PrototypeClassifier):
            return classifier.head.logits(embedded, classifier.fitted), embedded
        return classifier.logits(batch), embedded


class Lessons:
    """All sessions; the one that was left alone longest makes room for a new one."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self._open: OrderedDict[str, Lesson] = OrderedDict()

    def begin(self) -> tuple[str, Lesson]:
        """Open a session under a name that cannot be guessed."""
        while len(self._open) >= MAX_SESSIONS:
            self._open.popitem(last=False)
        key = secrets.token_urlsafe(18)
        self._open[key] = Lesson(self.teacher)
        return key, self._open[key]

    def find(self, key: str) -> Lesson:
        """Return an open session."""
        if key not in self._open:
            raise UnknownError("there is no such session; the server may have been restarted")
        self._open.move_to_end(key)
        return self._open[key]

    def end(self, key: str) -> None:
        """Forget a session."""
        self.find(key)
        del self._open[key]
