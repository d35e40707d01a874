"""Knows Omniglot: the files it comes in, and which characters each protocol of the literature trains and tests on."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from umeta.benchmarks.benchmark import (
    FixedTask,
    LabeledImages,
    SplitName,
    check_protocol,
    class_major_labels,
    data_root,
    find,
    unlabeled_pool,
)
from umeta.core.errors import InputError
from umeta.images.source import ArraySource

N_CHARACTERS = 1623
N_BACKGROUND = 964
N_DRAWERS = 20
N_VINYALS_TEST = 423
VINYALS_VAL_ALPHABETS = ("Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)")

_SITE = "https://github.com/brendenlake/omniglot/tree/master/python"
_FETCH = f"get images_background.zip and images_evaluation.zip from {_SITE} and put both, zipped or extracted, in FOLDER or FOLDER/omniglot"
_FETCH_LAKE = f"get all_runs.zip from {_SITE}/one-shot-classification and put it, zipped or extracted, in FOLDER or FOLDER/omniglot"


@dataclass(frozen=True, eq=False)
class Characters:
    """Omniglot characters in file order: sorted by alphabet, then by number; the background set comes first.

    Attributes:
        images: uint8 `[n, 20, 28, 28]`, ink 255 on 0.
        names: `Alphabet/characterNN`, one per character.
    """

    images: NDArray[np.uint8]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Omniglot:
    """1,623 handwritten characters of 50 alphabets, each drawn by 20 people, at 28x28 with ink 255.

    Protocols, as characters for train/val/test:

    * `cactus`: 1100/100/423 of `numpy.random.RandomState(0).permutation(1623)` in file order. The authors published no
      list; this one is ours.
    * `umtra`: 1200/100/323 of the same permutation.
    * `vinyals`: 1028/172/423, the split of Matching Networks: five whole alphabets for validation, the last 423
      characters in file order for test.
    * `vinyals-rot4`: the same characters, each turned by 0, 90, 180 and 270 degrees counterclockwise, every turn a
      class of its own in all splits; the pool holds the four turns.
    * `lake`: the 964 background characters for training, no validation, and 20 fixed within-alphabet 20-way 1-shot
      runs, drawn from the 659 evaluation characters.

    The pool is the meta-training characters. Under `vinyals` and `vinyals-rot4` it is the training *and* the validation
    characters, which ProtoTransfer merges; a score on their `meta_val` is therefore one on images of the pool. An image
    of the pool that is also a meta-test image, byte for byte, is left out; in the published set there is none.

    Attributes:
        root: Folder with the files; None means `$UMETA_DATA`. The packed `omniglot.npz` is preferred over the official
            archives, which take some seconds to decode.

    Source:
        Lake et al. 2015, "Human-level concept learning through probabilistic program induction". Splits: Hsu et al.
        2019 (CACTUs, arXiv:1810.02334), Khodadadeh et al. 2019 (UMTRA, arXiv:1811.11819), Vinyals et al. 2016
        (arXiv:1606.04080) as listed with Snell et al. 2017 (arXiv:1703.05175), Medina et al. 2020 (ProtoTransfer,
        arXiv:2006.11325).
    """

    root: Path | None = None

    name: ClassVar[str] = "omniglot"
    protocols: ClassVar[tuple[str, ...]] = ("cactus", "umtra", "vinyals", "vinyals-rot4", "lake")
    ways: ClassVar[tuple[int, ...]] = (5, 20)
    shots: ClassVar[tuple[int, ...]] = (1, 5)

    def n_query(self, protocol: str) -> int:
        """Return 5 for `cactus`, as its authors, and 15 elsewhere; Lake's fixed runs bring their own single query."""
        check_protocol(self, protocol)
        return 5 if protocol == "cactus" else 15

    def pool(self, protocol: str) -> ArraySource:
        """Return the label-free training pool, images of 28x28, shuffled."""
        images = self.split(protocol, "meta_train").images
        if protocol in ("vinyals", "vinyals-rot4"):
            images = np.concatenate([images, self.split(protocol, "meta_val").images])
        return unlabeled_pool(f"{self.name}:{protocol}", images, self.split(protocol, "meta_test").images)

    def split(self, protocol: str, name: SplitName) -> LabeledImages:
        """Return the labeled images of one split, `[n, 1, 28, 28]`, by character; `lake` has no `meta_val`."""
        check_protocol(self, protocol)
        characters = _load(self._folder(_FETCH))
        index = _split_characters(protocol, characters.names)[name]
        images = characters.images[index]
        names = [characters.names[i] for i in index]
        if protocol == "vinyals-rot4":
            images = np.stack([np.rot90(images, turn, axes=(-2, -1)) for turn in range(4)], axis=1)
            names = [f"{character}/rot{90 * turn:03d}" for character in names for turn in range(4)]
        return LabeledImages(images.reshape(-1, 1, 28, 28), class_major_labels(len(names), N_DRAWERS), tuple(names))

    def fixed_tasks(self, protocol: str) -> tuple[FixedTask, ...]:
        """Return Lake's 20 runs for `lake`, each with 20 support and 20 query images; nothing for other protocols."""
        check_protocol(self, protocol)
        return _load_lake_runs(self._folder(_FETCH_LAKE)) if protocol == "lake" else ()

    def _folder(self, fetch: str) -> Path:
        return self.root if self.root is not None else data_root(f"for omniglot, {fetch}")


def read_archive(path: Path) -> Characters:
    """Read `images_background` or `images_evaluation`, a zip file or the folder extracted from it.

    Raises:
        InputError: If the archive is damaged, or a character has other than 20 drawings.
    """
    drawings: dict[tuple[str, str], list[NDArray[np.uint8]]] = {}
    for name, data in sorted(_read_tree(path).items()):
        parts = name.split("/")
        if name.endswith(".png") and len(parts) >= 3:
            drawings.setdefault((parts[-3], parts[-2]), []).append(decode_drawing(data, f"{path}: {name}"))
    if not drawings:
        raise InputError(f"{path}: no Alphabet/characterNN/*.png inside; fetch it again from {_SITE}")
    for (alphabet, character), images in drawings.items():
        if len(images) != N_DRAWERS:
            raise InputError(f"{path}: {alphabet}/{character} has {len(images)} drawings, not {N_DRAWERS}; fetch it again from {_SITE}")
    order = sorted(drawings)
    return Characters(np.stack([np.stack(drawings[key]) for key in order]), tuple("/".join(key) for key in order))


def decode_drawing(png: bytes, source: str) -> NDArray[np.uint8]:
    """Turn an official 105x105 drawing, ink black, into uint8 `[28, 28]` with ink 255.

    Pillow's box filter (an area average) on the bitmap with ink 255 gives exactly the packed set's `images28`.

    Raises:
        InputError: If `png` is no 105x105 image; `source` says which it was.
    """
    try:
        with Image.open(io.BytesIO(png)) as image:
            bitmap = np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{source}: not a readable image ({error}); fetch it again from {_SITE}") from error
    if bitmap.shape != (105, 105):
        raise InputError(f"{source}: {bitmap.shape[1]}x{bitmap.shape[0]} pixels, expected 105x105")
    ink = np.where(bitmap < 128, 255, 0).astype(np.uint8)
    return np.asarray(Image.fromarray(ink).resize((28, 28), Image.Resampling.BOX))


def _split_characters(protocol: str, names: tuple[str, ...]) -> dict[SplitName, NDArray[np.int64]]:
    n_train = {"cactus": 1100, "umtra": 1200}.get(protocol)
    if n_train is not None:
        order = np.random.RandomState(0).permutation(len(names)).astype(np.int64)
        parts = np.split(order, [n_train, n_train + 100])
        return {"meta_train": parts[0], "meta_val": parts[1], "meta_test": parts[2]}
    index = np.arange(len(names), dtype=np.int64)
    if protocol == "lake":
        return {"meta_train": index[:N_BACKGROUND], "meta_val": index[:0], "meta_test": index[N_BACKGROUND:]}
    is_val = np.array([name.split("/")[0] in VINYALS_VAL_ALPHABETS for name in names])
    is_test = index >= len(names) - N_VINYALS_TEST
    return {"meta_train": index[~is_val & ~is_test], "meta_val": index[is_val], "meta_test": index[is_test]}


@lru_cache(maxsize=1)
def _load(root: Path) -> Characters:
    packed = find(root, "omniglot", "omniglot.npz")
    if packed is not None:
        characters = _read_packed(packed)
    else:
        background = find(root, "omniglot", "images_background.zip", "images_background")
        evaluation = find(root, "omniglot", "images_evaluation.zip", "images_evaluation")
        if background is None or evaluation is None:
            raise InputError(f"omniglot not found in {root}: {_FETCH.replace('FOLDER', str(root))}")
        parts = read_archive(background), read_archive(evaluation)
        characters = Characters(np.concatenate([p.images for p in parts]), parts[0].names + parts[1].names)
    if len(characters.names) != N_CHARACTERS:
        raise InputError(f"omniglot in {root} has {len(characters.names)} characters, not {N_CHARACTERS}: {_FETCH}")
    return characters


def _read_packed(path: Path) -> Characters:
    try:
        with np.load(path) as arrays:
            images, alphabets, numbers = arrays["images28"], arrays["alphabet"], arrays["character"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a packed Omniglot file ({error})") from error
    if images.dtype != np.uint8 or images.shape != (len(alphabets), N_DRAWERS, 28, 28):
        raise InputError(f"{path}: images28 is {images.dtype} {list(images.shape)}, expected uint8 [n, 20, 28, 28]")
    names = tuple(f"{a}/character{n:02d}" for a, n in zip(alphabets.tolist(), numbers.tolist(), strict=True))
    return Characters(images, names)


@lru_cache(maxsize=1)
def _load_lake_runs(root: Path) -> tuple[FixedTask, ...]:
    path = find(root, "omniglot", "all_runs.zip", "all_runs", "omniglot_lake_runs.zip", "omniglot_lake_runs")
    if path is None:
        raise InputError(f"Lake's runs not found in {root}: {_FETCH_LAKE.replace('FOLDER', str(root))}")
    files = _read_tree(path)
    answers = sorted(name for name in files if name.endswith("class_labels.txt"))
    if not answers:
        raise InputError(f"{path}: no runNN/class_labels.txt inside; {_FETCH_LAKE}")
    try:
        return tuple(_lake_run(files, name) for name in answers)
    except KeyError as error:
        raise InputError(f"{path}: {error.args[0]} is missing; {_FETCH_LAKE}") from error


def _lake_run(files: dict[str, bytes], answer_name: str) -> FixedTask:
    # A line of the file, relative to the folder of all runs: `run01/test/item01.png run01/training/class08.png`.
    run = answer_name.rsplit("/", 1)[0]
    prefix = run.rpartition("/")[0] + "/" if "/" in run else ""
    answers = dict(line.split() for line in files[answer_name].decode("ascii").splitlines() if line.strip())
    class_files = sorted(set(answers.values()))
    class_names = tuple(name.removesuffix(".png") for name in class_files)
    query_labels = np.array([class_files.index(answers[item]) for item in sorted(answers)], np.int64)

    def stack(names: list[str]) -> NDArray[np.uint8]:
        return np.stack([decode_drawing(files[prefix + name], name) for name in names])[:, None]

    support = LabeledImages(stack(class_files), class_major_labels(len(class_files), 1), class_names)
    return FixedTask(support, LabeledImages(stack(sorted(answers)), query_labels, class_names))


def _read_tree(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        files = (file for file in path.rglob("*") if _is_wanted(file.name))
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
    try:
        with zipfile.ZipFile(path) as archive:
            names = (name for name in archive.namelist() if _is_wanted(name.rsplit("/", 1)[-1]))
            return {name: archive.read(name) for name in names}
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable zip file ({error}); fetch it again from {_SITE}") from error


def _is_wanted(file_name: str) -> bool:
    # macOS leaves `._0001_01.png` and the like beside the real files.
    return file_name.endswith((".png", ".txt")) and not file_name.startswith(".")
