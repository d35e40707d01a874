"""Knows MNIST: the files it comes in, and which of its images stand for training, validation and test."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from umeta.benchmarks.benchmark import (
    FixedTask,
    LabeledImages,
    SplitName,
    check_protocol,
    data_root,
    find,
    unlabeled_pool,
)
from umeta.core.errors import InputError
from umeta.images.source import ArraySource

N_IMAGES = {"train": 60_000, "t10k": 10_000}
N_VALIDATION = 10_000
N_DIGITS = 10
_SITE = "https://ossci-datasets.s3.amazonaws.com/mnist"
_FETCH = (
    f"get train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz from {_SITE} "
    "and put them, unpacked or not, in FOLDER or FOLDER/mnist"
)


@dataclass(frozen=True)
class Mnist:
    """70,000 handwritten digits at 28x28, ink 255 on 0, in the official order.

    The ten digits are the classes of all splits; images are held out, not classes. Protocol `cactus`: the first 50,000 training images
    are `meta_train` and the pool, the last 10,000 training images `meta_val`, the 10,000 test images `meta_test`. An image of the pool
    that is also a test image, byte for byte, is left out; in the published set there is none. Tasks are 10-way with 5 queries a class.

    Attributes:
        root: Folder with the files; None means `$UMETA_DATA`. The packed `mnist.npz` is preferred over the official IDX files.

    Source:
        LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition". Tasks: Hsu et al. 2019 (CACTUs,
        arXiv:1810.02334); which images they validated on was not published, so that part is ours.
    """

    root: Path | None = None

    name: ClassVar[str] = "mnist"
    protocols: ClassVar[tuple[str, ...]] = ("cactus",)
    ways: ClassVar[tuple[int, ...]] = (10,)
    shots: ClassVar[tuple[int, ...]] = (1, 5, 10)

    def n_query(self, protocol: str) -> int:
        """Return 5, as CACTUs was scored."""
        check_protocol(self, protocol)
        return 5

    def pool(self, protocol: str) -> ArraySource:
        """Return the images of `meta_train` without labels, of 28x28, shuffled."""
        train, test = self.split(protocol, "meta_train"), self.split(protocol, "meta_test")
        return unlabeled_pool(f"{self.name}:{protocol}", train.images, test.images)

    def split(self, protocol: str, name: SplitName) -> LabeledImages:
        """Return the labeled images of one split, `[n, 1, 28, 28]`, by digit."""
        check_protocol(self, protocol)
        root = self.root if self.root is not None else data_root(f"for {self.name}, {_FETCH}")
        images, labels = _read(root, "t10k" if name == "meta_test" else "train")
        kept = {"meta_train": slice(None, -N_VALIDATION), "meta_val": slice(-N_VALIDATION, None), "meta_test": slice(None)}[name]
        return LabeledImages(images[kept, None], labels[kept].astype(np.int64), tuple(map(str, range(N_DIGITS))))

    def fixed_tasks(self, protocol: str) -> tuple[FixedTask, ...]:
        """Return nothing: tasks are sampled from `meta_test`."""
        check_protocol(self, protocol)
        return ()


def _read(root: Path, part: Literal["train", "t10k"]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    packed = find(root, "mnist", "mnist.npz")
    if packed is not None:
        images, labels = _read_packed(packed, "train" if part == "train" else "test")
    else:
        images, labels = (_read_idx(_find_idx(root, f"{part}-{kind}")) for kind in ("images-idx3", "labels-idx1"))
    if images.dtype != np.uint8 or images.shape != (N_IMAGES[part], 28, 28) or labels.shape != images.shape[:1]:
        found = f"{images.dtype} images {list(images.shape)} with labels {list(labels.shape)}"
        raise InputError(f"mnist in {root} has {found}, not uint8 [{N_IMAGES[part]}, 28, 28] with one label each: {_FETCH}")
    return images, labels


def _read_packed(path: Path, part: Literal["train", "test"]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[f"x_{part}"], arrays[f"y_{part}"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a packed MNIST file ({error})") from error


def _find_idx(root: Path, stem: str) -> Path:
    # Some unpackers put a dot where the official name has a dash.
    names = [f"{name}{end}" for name in (f"{stem}-ubyte", f"{stem.replace('-idx', '.idx')}-ubyte") for end in ("", ".gz")]
    path = find(root, "mnist", *names)
    if path is None:
        raise InputError(f"mnist not found in {root} (no {stem}-ubyte.gz): {_FETCH.replace('FOLDER', str(root))}")
    return path


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of bytes: a magic number whose last byte is the number of dimensions, the sizes, and the content."""
    try:
        content = path.read_bytes()
        data = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch it again from {_SITE}") from error
    n_dims = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0
    start = 4 + 4 * n_dims
    shape = np.frombuffer(data[4:start], ">u4").astype(np.int64) if n_dims and len(data) >= start else np.zeros(1, np.int64)
    if not n_dims or len(data) - start != shape.prod():
        raise InputError(f"{path}: not an IDX file of bytes, or cut short ({len(data)} bytes); fetch it again from {_SITE}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy()
