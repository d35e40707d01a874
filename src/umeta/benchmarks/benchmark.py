"""Knows what every benchmark offers: a pool without labels, labeled splits by protocol, and where to look for it."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from umeta.core.errors import InputError
from umeta.images.source import ArraySource, ImageSource

SplitName = Literal["meta_train", "meta_val", "meta_test"]


class Labeled(Protocol):
    """Images that people labeled, in one way or in many."""

    @property
    def images(self) -> NDArray[np.uint8]:
        """uint8 `[n, c, h, w]`."""

    @property
    def n_classes(self) -> int:
        """Number of different classes that a task may have."""

    @property
    def labelings(self) -> NDArray[np.integer]:
        """`[n_labelings, n]`: each row puts the images into classes 0, 1, ..., or into none (-1); a task's classes are of one row."""


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """Images together with the class that a person gave each of them.

    Attributes:
        images: uint8 `[n, c, h, w]`.
        labels: int64 `[n]`, in `[0, n_classes)`. Every class has at least one image; `n` and `n_classes` may both be 0.
        class_names: One name per class, all different.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise InputError(f"images must be uint8 [n, c, h, w], got {self.images.dtype} {list(self.images.shape)}")
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise InputError(f"labels must be int64 [{len(self.images)}], one per image, got {self.labels.dtype} {list(self.labels.shape)}")
        if len(set(self.class_names)) != len(self.class_names):
            raise InputError("class names must all be different")
        if self.labels.size and not 0 <= self.labels.min() <= self.labels.max() < self.n_classes:
            raise InputError(f"labels must lie in [0, {self.n_classes}), got {self.labels.min()} to {self.labels.max()}")
        empty = np.flatnonzero(np.bincount(self.labels, minlength=self.n_classes) == 0)
        if empty.size:
            raise InputError(f"class {self.class_names[empty[0]]!r} has no image")

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def labelings(self) -> NDArray[np.int64]:
        """The labels as the only row, `[1, n]`."""
        return self.labels[None]

    def subset(self, classes: Sequence[int]) -> LabeledImages:
        """Return the images of some classes, relabeled `0, 1, ...` in the order given.

        Raises:
            InputError: If a class is not there or is named twice.
        """
        wrong = [c for c in classes if not 0 <= c < self.n_classes]
        if wrong:
            raise InputError(f"class {wrong[0]} is not among the {self.n_classes} classes")
        if len(set(classes)) != len(classes):
            raise InputError("a class is named twice in a subset")
        new_label = np.full(self.n_classes, -1, np.int64)
        new_label[np.asarray(classes, np.int64)] = np.arange(len(classes))
        labels = new_label[self.labels]
        kept = labels >= 0
        return LabeledImages(self.images[kept], labels[kept], tuple(self.class_names[c] for c in classes))


@dataclass(frozen=True, eq=False)
class FixedTask:
    """A task that the authors of a benchmark drew once for everybody, such as one of Lake's 20 runs.

    Attributes:
        support: What `adapt` may see.
        query: What is scored; the same classes in the same order.
    """

    support: LabeledImages
    query: LabeledImages

    def __post_init__(self) -> None:
        if self.support.class_names != self.query.class_names:
            raise InputError("support and query of a fixed task must name the same classes in the same order")


class Benchmark(Protocol):
    """What `learn` and `evaluate` may ask of a benchmark; every array of labeled images is a fresh copy."""

    @property
    def name(self) -> str:
        """The name that a user types."""

    @property
    def protocols(self) -> tuple[str, ...]:
        """Ways to split the data that the literature uses; the first is the default."""

    @property
    def ways(self) -> tuple[int, ...]:
        """Values of `n_way` that are scored unless others are asked for."""

    @property
    def shots(self) -> tuple[int, ...]:
        """Values of `k_shot` that are scored unless others are asked for."""

    def n_query(self, protocol: str) -> int:
        """Return the query images per class of a sampled task under a protocol."""

    def pool(self, protocol: str) -> ImageSource:
        """Return the label-free training pool, in an order that tells nothing about classes."""

    def split(self, protocol: str, name: SplitName) -> Labeled:
        """Return the labeled images of one split; no images and no classes where the protocol has no such split."""

    def fixed_tasks(self, protocol: str) -> tuple[FixedTask, ...]:
        """Return the tasks that the protocol fixes; empty where tasks are sampled from `meta_test`."""


def class_major_labels(n_classes: int, n_per_class: int) -> NDArray[np.int64]:
    """Return `0, 0, ..., 1, 1, ...`: the labels of images that are stored class after class."""
    return np.repeat(np.arange(n_classes, dtype=np.int64), n_per_class)


def unlabeled_order(images: Iterable[bytes], held_out: Iterable[bytes]) -> NDArray[np.int64]:
    """Return which images a pool without labels has: none that is also held out, in an order that does not give the classes away.

    Args:
        images: The bytes of each image, pixels or a compressed file.
        held_out: Bytes of the same kind; an image that equals one of these is left out.

    Returns:
        Indices of the rest, in a fixed random order; always the same for the same input.
    """
    forbidden = {hashlib.blake2b(image).digest() for image in held_out}
    kept = np.array([i for i, image in enumerate(images) if hashlib.blake2b(image).digest() not in forbidden], np.int64)
    order: NDArray[np.int64] = np.random.Generator(np.random.Philox(key=0)).permutation(kept)
    return order


def unlabeled_pool(name: str, images: NDArray[np.uint8], held_out: NDArray[np.uint8]) -> ArraySource:
    """Return images that are in memory as a source without labels, by the rules of `unlabeled_order`.

    Args:
        name: What to call the pool in messages.
        images: uint8 `[n, c, h, w]`, in any order.
        held_out: uint8 `[m, c, h, w]`.
    """
    order = unlabeled_order((image.tobytes() for image in images), (image.tobytes() for image in held_out))
    return ArraySource(np.moveaxis(images[order], 1, -1), name)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question with the nearest of the known names, or nothing if none is near."""
    near = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.6)
    return f" did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that nothing has, with the nearest names that something has.

    Example:
        >>> str(unknown_name("benchmark", "omniglott", ["omniglot", "glyphs"]))
        "unknown benchmark 'omniglott': did you mean 'omniglot'? There are: omniglot, glyphs"
    """
    choices = list(known)
    nearest = did_you_mean(name, choices)
    joined = f":{nearest} There are: " if nearest else "; there are: "
    return InputError(f"unknown {kind} {name!r}{joined}{', '.join(choices)}")


def check_protocol(benchmark: Benchmark, protocol: str) -> None:
    """Raise `InputError` with the nearest names unless the benchmark has this protocol."""
    if protocol not in benchmark.protocols:
        raise unknown_name(f"protocol of {benchmark.name}", protocol, benchmark.protocols)


def data_root(fetch: str = "put each benchmark's archives in one folder, here called FOLDER") -> Path:
    """Return the folder that `$UMETA_DATA` names, where benchmarks look for their files.

    Args:
        fetch: What the asking benchmark needs, as an instruction that names `FOLDER`; told to the user on failure.

    Raises:
        InputError: If the variable is unset or names no folder.
    """
    value = os.environ.get("UMETA_DATA", "")
    if not value:
        raise InputError(f"UMETA_DATA is not set: {fetch}, then `export UMETA_DATA=FOLDER`")
    root = Path(value).expanduser()
    if not root.is_dir():
        raise InputError(f"UMETA_DATA={value} is not a folder: {fetch}, then `export UMETA_DATA=FOLDER`")
    return root


def find(root: Path, folder: str, *names: str) -> Path | None:
    """Return the first of `names` that is in `root` or in `root/folder`; None if none is."""
    places = (place / name for place in (root, root / folder) for name in names)
    return next((place for place in places if place.exists()), None)


def _omniglot() -> Benchmark:
    from umeta.benchmarks.omniglot import Omniglot

    return Omniglot()


def _celeba() -> Benchmark:
    from umeta.benchmarks.celeba import Celeba

    return Celeba()


def _glyphs() -> Benchmark:
    from umeta.benchmarks.glyphs import Glyphs

    return Glyphs()


def _mini_imagenet() -> Benchmark:
    from umeta.benchmarks.mini_imagenet import MiniImagenet

    return MiniImagenet()


def _mnist() -> Benchmark:
    from umeta.benchmarks.mnist import Mnist

    return Mnist()


_BENCHMARKS: dict[str, Callable[[], Benchmark]] = {
    "celeba": _celeba,
    "glyphs": _glyphs,
    "mini-imagenet": _mini_imagenet,
    "mnist": _mnist,
    "omniglot": _omniglot,
}


# Protocols that the literature calls by a name of their own.
_KNOWN_AS: dict[str, tuple[str, str]] = {"lake": ("omniglot", "lake")}


def scored_on(name: str, protocol: str | None) -> tuple[Benchmark, str | None]:
    """Return the benchmark that a name to score on means, and the protocol: that of the name if it is one protocol's, else as given.

    Raises:
        InputError: No such benchmark, or another protocol than the one that the name is for.
    """
    benchmark, own = _KNOWN_AS.get(name, (name, protocol))
    if protocol not in (None, own):
        raise InputError(f"{name} is the protocol {own} of {benchmark}; leave out --protocol {protocol}, or give --on {benchmark}")
    return get_benchmark(benchmark), own


def benchmark_names() -> tuple[str, ...]:
    """Return the names that `get_benchmark` knows, sorted."""
    return tuple(sorted(_BENCHMARKS))


def is_of_images(name: str) -> bool:
    """Whether images are scored on that name."""
    return name in _BENCHMARKS or name in _KNOWN_AS


def get_benchmark(name: str) -> Benchmark:
    """Return the benchmark of that name; its files are read when they are first asked for, not here.

    Raises:
        InputError: If there is none, with the nearest names.
    """
    if name not in _BENCHMARKS:
        from umeta.benchmarks.goals import GOALS

        if name in GOALS or f"{name}-v0" in GOALS:
            raise InputError(f"the benchmark {name!r} is for environments; for images there are: {', '.join(benchmark_names())}")
        raise unknown_name("benchmark", name, benchmark_names())
    return _BENCHMARKS[name]()
