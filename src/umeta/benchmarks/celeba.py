"""Knows CelebA: the files it comes in, and the tasks that its attributes make."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from umeta.benchmarks.benchmark import FixedTask, SplitName, check_protocol, data_root, find
from umeta.benchmarks.photos import Photos, file_loader, read_packed
from umeta.core.errors import InputError
from umeta.images.reading import read_stacked

SIDE = 84
N_ATTRIBUTES = 40
ATTRIBUTES: dict[SplitName, slice] = {"meta_train": slice(0, 20), "meta_val": slice(20, 30), "meta_test": slice(30, 40)}
PACKED: dict[SplitName, slice] = {"meta_train": slice(0, 8000), "meta_val": slice(8000, 9000), "meta_test": slice(9000, 10_000)}
N_PHOTOS = {"packed10k": 10_000, "cactus": 202_599}
OFFICIAL: dict[SplitName, str] = {"meta_train": "0", "meta_val": "1", "meta_test": "2"}

_SITE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
_FETCH = {
    "packed10k": "put celeba10k.npz (arrays jpeg, offset, filename and attr of the first 10,000 aligned photos) in FOLDER or "
    "FOLDER/celeba; for the official files give --protocol cactus",
    "cactus": f"get img_align_celeba.zip, list_attr_celeba.txt and list_eval_partition.txt from {_SITE} and put them, the photos zipped or "
    "extracted, in FOLDER or FOLDER/celeba",
}


@dataclass(frozen=True, eq=False)
class AttributeImages:
    """Photos that people described by attributes, each present or not.

    A task asks to tell apart the photos that have three attributes in a given pattern from those that have each of the three the other
    way round. Every three attributes with every pattern whose first is absent make one labeling, of two classes; the photos of
    neither class are in none.

    Attributes:
        images: uint8 `[n, 3, h, w]`.
        attributes: bool `[n, n_attributes]`.
    """

    images: NDArray[np.uint8]
    attributes: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.attributes.dtype != bool or self.attributes.ndim != 2 or len(self.attributes) != len(self.images):
            found = f"{self.attributes.dtype} {list(self.attributes.shape)}"
            raise InputError(f"attributes must be bool [{len(self.images)}, n_attributes], one row per image, got {found}")

    @property
    def n_classes(self) -> int:
        """Number of patterns of three attributes."""
        return 8 * comb(self.attributes.shape[1], 3)

    @property
    def labelings(self) -> NDArray[np.int8]:
        """int8 `[4 * n_triples, n]`: 0 where a photo has a pattern, 1 where it has the opposite one, else -1.

        The patterns of a triple are, in order, absent-absent-absent, absent-absent-present, absent-present-absent and
        absent-present-present.
        """
        found = np.full((4 * comb(self.attributes.shape[1], 3), len(self.attributes)), -1, np.int8)
        for row, triple in enumerate(combinations(range(self.attributes.shape[1]), 3)):
            pattern = self.attributes[:, triple] @ np.array([4, 2, 1], np.int8)
            for number in range(4):
                found[4 * row + number, pattern == number] = 0
                found[4 * row + number, pattern == 7 - number] = 1
        return found


@dataclass(frozen=True)
class Celeba:
    """Aligned photos of faces with 40 attributes each, as 84x84 color squares; tasks are made of attributes, not of persons.

    Attributes 0 to 19, in the official order, are for training, 20 to 29 for validation and 30 to 39 for test, as with CACTUs. Protocols,
    as photos for train/val/test:

    * `packed10k`: 8000/1000/1000 of the first 10,000 photos by index, from the packed file, at half their resolution. A split of our own.
    * `cactus`: the official partition, 162,770/19,867/19,962, from the official files.

    The largest centered square is cut out, then brought to 84x84 with a Lanczos filter. The pool is the training photos without
    attributes, less any that is also a test photo, byte for byte. Photos are decoded when they are read; a labeled split is decoded as
    a whole, which for `meta_train` under `cactus`, where only an oracle needs it, takes 3.4 GB.

    Attributes:
        root: Folder with the files; None means `$UMETA_DATA`.

    Source:
        Liu et al. 2015, "Deep Learning Face Attributes in the Wild" (arXiv:1411.7766). Tasks: Hsu et al. 2019 (CACTUs,
        arXiv:1810.02334); how they cut the photos out was not published, so that part is ours.
    """

    root: Path | None = None

    name: ClassVar[str] = "celeba"
    protocols: ClassVar[tuple[str, ...]] = ("packed10k", "cactus")
    ways: ClassVar[tuple[int, ...]] = (2,)
    shots: ClassVar[tuple[int, ...]] = (5,)

    def n_query(self, protocol: str) -> int:
        """Return 5, as CACTUs was scored."""
        check_protocol(self, protocol)
        return 5

    def pool(self, protocol: str) -> Photos:
        """Return the training photos without attributes, shuffled, as a source that decodes them when they are read."""
        photos = self._photos(protocol)
        return photos["meta_train"].without_labels(photos["meta_test"])

    def split(self, protocol: str, name: SplitName) -> AttributeImages:
        """Return the photos of one split, `[n, 3, 84, 84]`, with the attributes that this split's tasks are made of."""
        photos = self._photos(protocol)[name]
        attributes = self._attributes(protocol)
        missing = [file for file in photos.files if file not in attributes]
        if missing:
            raise InputError(
                f"{self.name}: {len(missing)} of {len(photos.files)} photos have no attributes, the first is {missing[0]}; "
                f"{_FETCH[protocol]}"
            )
        rows = np.array([attributes[file][ATTRIBUTES[name]] for file in photos.files], np.bool_)
        return AttributeImages(read_stacked(photos, SIDE, 3), rows)

    def fixed_tasks(self, protocol: str) -> tuple[FixedTask, ...]:
        """Return nothing: tasks are sampled from `meta_test`."""
        check_protocol(self, protocol)
        return ()

    def _photos(self, protocol: str) -> dict[SplitName, Photos]:
        check_protocol(self, protocol)
        parts: dict[SplitName, NDArray[np.int64]]
        if protocol == "packed10k":
            path = self._find(protocol, "celeba10k.npz")
            files, load, _ = read_packed(path)
            parts = {name: np.arange(len(files))[rows] for name, rows in PACKED.items()}
        else:
            path = self._find(protocol, "img_align_celeba", "img_align_celeba.zip")
            listed = self._find(protocol, "list_eval_partition.txt")
            rows = [line.split() for line in _lines(listed)]
            if any(len(row) != 2 for row in rows):
                raise InputError(f"{listed}: a line is not a file name and 0, 1 or 2; {_FETCH[protocol]}")
            files = tuple(file for file, _ in rows)
            partition = np.array([part for _, part in rows])
            load, parts = file_loader(path, files), {name: np.flatnonzero(partition == code) for name, code in OFFICIAL.items()}
        if len(files) != N_PHOTOS[protocol]:
            raise InputError(f"{path} has {len(files)} photos, not {N_PHOTOS[protocol]}: {_FETCH[protocol]}")
        whole = Photos(f"{self.name}:{protocol}", path, files, load, SIDE, crop=True)
        return {name: whole.take(rows) for name, rows in parts.items()}

    def _attributes(self, protocol: str) -> dict[str, list[bool]]:
        """Return all attributes of every photo, by file name."""
        if protocol == "packed10k":
            path = self._find(protocol, "celeba10k.npz")
            files, _, (attributes,) = read_packed(path, "attr")
            table = dict(zip(files, attributes.tolist(), strict=False))
        else:
            path = self._find(protocol, "list_attr_celeba.txt")
            # Two lines of heading: the number of photos, and the attributes' names.
            fields = (line.split() for line in _lines(path)[2:])
            table = {file: [value == "1" for value in values] for file, *values in fields}
        if any(len(values) != N_ATTRIBUTES for values in table.values()):
            raise InputError(f"{path}: a photo has other than {N_ATTRIBUTES} attributes; {_FETCH[protocol]}")
        return table

    def _find(self, protocol: str, *names: str) -> Path:
        root = self.root if self.root is not None else data_root(f"for {self.name}, {_FETCH[protocol]}")
        path = find(root, self.name, *names)
        if path is None:
            raise InputError(f"{self.name} not found in {root} (no {names[-1]}): {_FETCH[protocol].replace('FOLDER', str(root))}")
        return path


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch it again from {_SITE}") from error
