"""Knows miniImageNet: the files it comes in, and the classes of Ravi and Larochelle's split."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from umeta.benchmarks.benchmark import (
    FixedTask,
    LabeledImages,
    SplitName,
    check_protocol,
    data_root,
    find,
)
from umeta.benchmarks.photos import Photos, file_loader, read_packed
from umeta.core.errors import InputError
from umeta.images.reading import read_stacked

SIDE = 84
N_PER_CLASS = 600
N_CLASSES: dict[SplitName, int] = {"meta_train": 64, "meta_val": 16, "meta_test": 20}
_FETCH = (
    "make the folder images/ of the 60,000 photos (a subset of ILSVRC2012, https://www.image-net.org) and get train.csv, val.csv and "
    "test.csv from https://github.com/twitter-research/meta-learning-lstm/tree/master/data/miniImagenet; "
    "put them beside one another in FOLDER or FOLDER/mini-imagenet"
)


@dataclass(frozen=True)
class MiniImagenet:
    """60,000 color photos of 100 ImageNet classes at 84x84: 64 classes for training, 16 for validation, 20 for test.

    Protocol `ravi` is the split that the field uses; the pool is all 38,400 training photos without their classes, less any that is
    also a test photo, byte for byte (in the published set there is none). Photos are decoded when they are read. One of another size
    than 84x84 is squeezed to it with a Lanczos filter, its aspect not kept, as MAML's authors did. A class is called by its WordNet
    id.

    Attributes:
        root: Folder with the files; None means `$UMETA_DATA`. Packed files (`miniimagenet_train.npz` and so on) are preferred over
            the folder `images` (or `images.zip`) with its lists.

    Source:
        Vinyals et al. 2016 (arXiv:1606.04080); split and lists: Ravi and Larochelle 2017, "Optimization as a Model for Few-Shot
        Learning".
    """

    root: Path | None = None

    name: ClassVar[str] = "mini-imagenet"
    protocols: ClassVar[tuple[str, ...]] = ("ravi",)
    ways: ClassVar[tuple[int, ...]] = (5,)
    shots: ClassVar[tuple[int, ...]] = (1, 5)

    def n_query(self, protocol: str) -> int:
        """Return 15."""
        check_protocol(self, protocol)
        return 15

    def pool(self, protocol: str) -> Photos:
        """Return the training photos without labels, shuffled, as a source that decodes them when they are read."""
        check_protocol(self, protocol)
        return self._photos("meta_train")[0].without_labels(self._photos("meta_test")[0])

    def split(self, protocol: str, name: SplitName) -> LabeledImages:
        """Return the labeled images of one split, `[n, 3, 84, 84]`, decoded now: 800 MB for `meta_train`."""
        check_protocol(self, protocol)
        photos, wnids = self._photos(name)
        classes, labels = np.unique(wnids, return_inverse=True)
        return LabeledImages(read_stacked(photos, SIDE, 3), labels.astype(np.int64), tuple(classes.tolist()))

    def fixed_tasks(self, protocol: str) -> tuple[FixedTask, ...]:
        """Return nothing: tasks are sampled from `meta_test`."""
        check_protocol(self, protocol)
        return ()

    def _photos(self, name: SplitName) -> tuple[Photos, list[str]]:
        """Return the photos of a split and the class of each."""
        root = self.root if self.root is not None else data_root(f"for {self.name}, {_FETCH}")
        part = name.removeprefix("meta_")
        packed = find(root, self.name, f"miniimagenet_{part}.npz")
        listed = find(root, self.name, f"{part}.csv")
        if packed is not None:
            files, load, (labels, classes) = read_packed(packed, "label", "wnid")
            wnids: list[str] = classes[labels.astype(np.int64)].tolist()
            path = packed
        elif listed is not None:
            files, wnids = _read_list(listed)
            path = next((listed.with_name(images) for images in ("images", "images.zip") if listed.with_name(images).exists()), listed)
            if path is listed:
                raise InputError(f"{self.name}: {listed} has no folder images beside it: {_FETCH.replace('FOLDER', str(root))}")
            load = file_loader(path, files)
        else:
            raise InputError(f"{self.name} not found in {root}: {_FETCH.replace('FOLDER', str(root))}")
        counts = sorted(set(np.unique(wnids, return_counts=True)[1].tolist()))
        if len(set(wnids)) != N_CLASSES[name] or counts != [N_PER_CLASS]:
            raise InputError(
                f"{packed or listed} has {len(set(wnids))} classes of {'/'.join(map(str, counts))} photos, "
                f"not {N_CLASSES[name]} of {N_PER_CLASS}: {_FETCH}"
            )
        return Photos(f"{self.name}:ravi", path, files, load, SIDE, crop=False), wnids


def _read_list(path: Path) -> tuple[tuple[str, ...], list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(row["filename"], row["label"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a list with the columns filename and label ({error})") from error
    return tuple(file for file, _ in rows), [label for _, label in rows]
