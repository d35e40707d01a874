"""Knows photos that stay compressed until somebody looks at them: packed in one array, in a zip file, or in a folder."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from umeta.benchmarks.benchmark import unlabeled_order
from umeta.core.errors import InputError
from umeta.images.pixels import Pixels, fit_square


@dataclass(frozen=True, eq=False)
class Photos:
    """A source of color photos that are decoded, and brought to squares of one size, as they are read.

    Attributes:
        name: What to call the collection in messages.
        path: The packed file, zip file or folder that they are in.
        files: The photos' file names.
        load: Returns the bytes of one file, by index; may be called from several threads at once.
        side: Of the squares, in pixels.
        crop: Whether to cut out the largest centered square; else the whole photo is squeezed into one.
    """

    name: str
    path: Path
    files: tuple[str, ...]
    load: Callable[[int], bytes]
    side: int
    crop: bool

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.files)

    def item_name(self, index: int, /) -> str:
        """Return the photo's file name."""
        return self.files[index]

    def fingerprint(self) -> str:
        """Return a hash of the file names, and of the sizes and times of change of the files on disk."""
        digest = hashlib.blake2b("\0".join(self.files).encode(), digest_size=16)
        for path in [self.path] if self.path.is_file() else [self.path / file for file in self.files]:
            status = path.stat() if path.exists() else None
            digest.update(f"{status.st_size} {status.st_mtime_ns}\0".encode() if status else b"gone\0")
        return digest.hexdigest()

    def compressed(self, index: int, /) -> bytes:
        """Return the file of one photo.

        Raises:
            InputError: If it is missing or damaged; a benchmark is whole or it is none.
        """
        try:
            return self.load(index)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.path}: {self.files[index]} is missing or damaged ({error}); fetch it again") from error

    def read(self, index: int, /) -> Pixels:
        """Return one photo as uint8 `[side, side, 3]`.

        Raises:
            InputError: If it is missing or damaged.
        """
        try:
            with Image.open(io.BytesIO(self.compressed(index)), formats=("JPEG", "PNG")) as image:
                photo = image.convert("RGB")
        except (OSError, SyntaxError) as error:
            raise InputError(f"{self.path}: {self.files[index]} is not a readable image ({error}); fetch it again") from error
        if self.crop:
            return np.moveaxis(fit_square(np.asarray(photo), self.side, 3), 0, -1)
        if photo.size != (self.side, self.side):
            photo = photo.resize((self.side, self.side), Image.Resampling.LANCZOS)
        return np.asarray(photo)

    def without_labels(self, held_out: Photos) -> Photos:
        """Return the photos as a pool: none that is also held out, byte for byte, in an order that tells nothing about classes."""
        return self.take(unlabeled_order(map(self.compressed, range(len(self))), map(held_out.compressed, range(len(held_out)))))

    def take(self, index: NDArray[np.int64]) -> Photos:
        """Return some of the photos, in the order of `index`, without reading them."""
        places = index.tolist()
        return replace(self, files=tuple(self.files[i] for i in places), load=lambda i: self.load(places[i]))


def read_packed(path: Path, *names: str) -> tuple[tuple[str, ...], Callable[[int], bytes], list[NDArray[np.generic]]]:
    """Read a packed file: the arrays `filename`, `jpeg` (all streams joined), `offset` (where each begins, and the end), and others.

    Returns:
        The file names, what loads one of them, and the arrays `names`, one row per photo or per anything else.

    Raises:
        InputError: If the file is damaged or has other contents.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            lacking = [name for name in ("jpeg", "offset", "filename", *names) if name not in arrays.files]
            if lacking:
                raise InputError(f"{path} has no array {' or '.join(lacking)}; it has {', '.join(arrays.files) or 'none'}; fetch it again")
            jpeg, offset, files = arrays["jpeg"], arrays["offset"].tolist(), tuple(arrays["filename"].tolist())
            others = [arrays[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a packed file of photos ({error})") from error
    if len(offset) != len(files) + 1 or offset[-1] != len(jpeg):
        raise InputError(f"{path}: {len(offset)} offsets up to {offset[-1:]} do not fit {len(files)} photos of {len(jpeg)} bytes")
    return files, lambda i: jpeg[offset[i] : offset[i + 1]].tobytes(), others


def file_loader(path: Path, files: tuple[str, ...]) -> Callable[[int], bytes]:
    """Return what loads one of `files` from a folder, or from a zip file wherever in it the file is.

    Raises:
        InputError: If the zip file cannot be read.
    """
    if path.is_dir():
        return lambda i: (path / files[i]).read_bytes()
    try:
        archive = _Zip(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable zip file ({error}); fetch it again") from error
    members = {name.rsplit("/", 1)[-1]: name for name in archive.namelist() if not name.startswith("__MACOSX/")}
    return lambda i: archive.read(members[files[i]])


class _Zip(zipfile.ZipFile):
    """A zip file that is opened anew in another process."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path

    def __reduce__(self) -> tuple[type[_Zip], tuple[Path]]:
        return _Zip, (self._path,)
