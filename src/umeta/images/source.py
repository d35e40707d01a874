"""Knows where unlabeled images come from: a folder, an array, an .npz file or shards, none of which has a label field."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from umeta.core.errors import InputError, UmetaError
from umeta.images.pixels import IMAGE_EXTENSIONS, Pixels, decode_file, decode_stream, gray_if_equal, has_image_name
from umeta.images.pixels import BadImageError as BadImageError
from umeta.images.remote import Place, RemotePath, is_url, lost, stamp
from umeta.images.shard import SHARD_SUFFIXES, is_saved_dataset, open_sharded, shard_files

_NEVER_OPENED = (".pkl", ".pickle", ".pt", ".pth", ".joblib")
_ACCEPTED = "a folder of images, an .npz file with an array `images`, a .parquet or .tar file, or a folder of those"


class ImageSource(Protocol):
    """A fixed, ordered collection of images. It has no label field, and its folder names are not labels.

    `read` may be called from several threads at once. It returns `[h, w]` (gray) or `[h, w, 3]` (color) and raises
    `BadImageError` for an image that cannot be used.
    """

    @property
    def name(self) -> str:
        """Where the images are, in a form that a person recognizes."""

    def __len__(self) -> int:
        """Return the number of candidate images, readable or not."""

    def item_name(self, index: int, /) -> str:
        """Return what to call one image in messages."""

    def read(self, index: int, /) -> Pixels:
        """Return the pixels of one image."""


@runtime_checkable
class Fingerprinted(Protocol):
    """A source that can tell whether its content may have changed; one that cannot is known by name and length only."""

    def fingerprint(self) -> str:
        """Return a text that differs whenever an image was added, removed or rewritten."""


class FolderSource:
    """Images in a folder and its subfolders, in the order of their relative paths.

    Candidates are regular files (or links to one) with a usual image extension in any case; the format is told from the
    content. Linked folders are not followed, so a loop of links ends. `umeta.images.pixels` states how a file becomes
    pixels.

    Attributes:
        name: The folder's absolute path, or its URL.
        n_other: Files that are not candidates: other extensions, dangling links, pipes, and macOS `._` companions.
        skipped_folders: Relative paths of subfolders not entered, because they are links or cannot be read.
    """

    def __init__(self, path: str | Place) -> None:
        """Scan the folder without opening any image.

        Args:
            path: An existing folder.

        Raises:
            InputError: If the folder cannot be listed or holds no candidate.
        """
        self._place = path if isinstance(path, RemotePath) else Path(path).absolute()
        self.name = str(self._place)
        self._names: list[str] = []
        self._listed: str | None = None
        self.n_other = 0
        skipped: list[str] = []
        self._scan(self._place, skipped)
        self._names.sort()
        self.skipped_folders = tuple(sorted(skipped))
        if not self._names:
            looked_for = ", ".join(f"*.{extension}" for extension in IMAGE_EXTENSIONS)
            unseen = f"; {len(skipped)} linked or unreadable subfolders were not entered" if skipped else ""
            raise InputError(f"no images found in {path} (looked for {looked_for}){unseen}")

    def _scan(self, place: Place, skipped: list[str]) -> None:
        if isinstance(place, RemotePath):
            files = place.files()
            self._names = sorted(filter(has_image_name, files))
            self.n_other = len(files) - len(self._names)
            self._listed = _digest(self._names, [files[name] for name in self._names])
            return
        prefixes = [""]
        while prefixes:
            prefix = prefixes.pop()
            try:
                with os.scandir(place / prefix) as entries:
                    for entry in entries:
                        relative = prefix + entry.name
                        if entry.is_dir(follow_symlinks=False):
                            prefixes.append(f"{relative}/")
                        elif _is_candidate(entry):
                            self._names.append(relative)
                        elif entry.is_symlink() and Path(entry.path).is_dir():
                            skipped.append(relative)
                        else:
                            self.n_other += 1
            except OSError as error:
                if not prefix:
                    raise InputError(f"cannot list the folder {self.name}: {error.strerror or error}") from error
                skipped.append(prefix.rstrip("/"))

    def __len__(self) -> int:
        """Return the number of candidate files."""
        return len(self._names)

    def item_name(self, index: int) -> str:
        """Return the file's path relative to the folder, with `/` between the parts."""
        return self._names[index]

    def fingerprint(self) -> str:
        """Return a hash of every candidate's path, size and time of change."""
        if self._listed is not None:
            return self._listed
        found = []
        for name in self._names:
            try:
                found.append(stamp(self._place / name))
            except OSError:
                found.append("gone")
        return _digest(self._names, found)

    def read(self, index: int) -> Pixels:
        """Decode one file by the rules of this class.

        Raises:
            BadImageError: If it is empty, truncated, too large, or not an image.
            UmetaError: If the whole folder is gone.
        """
        try:
            return _decoded(self._place / self._names[index])
        except BadImageError as error:
            if not self._place.is_dir():
                raise UmetaError(lost(self.name)) from error
            raise


class ArraySource:
    """Images that are already one array in memory, or in a memory-mapped file.

    Attributes:
        name: As given.
    """

    def __init__(self, images: NDArray[np.generic], name: str) -> None:
        """Wrap the array without copying it.

        Args:
            images: uint8 `[n, h, w]` or `[n, h, w, c]` with c 1 or 3.
            name: What to call the collection in messages.

        Raises:
            InputError: If the type or shape is another one, or there is no image.
        """
        color_ok = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))
        if images.dtype != np.uint8 or not color_ok:
            found = f"{images.dtype} {list(images.shape)}"
            raise InputError(f"{name}: images must be uint8 [n, h, w] or [n, h, w, c] with c 1 or 3; found {found}")
        if images.size == 0:
            raise InputError(f"no images found in {name} (the array's shape is {list(images.shape)})")
        self.name = name
        self._images: Pixels = images.view(np.uint8)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def item_name(self, index: int) -> str:
        """Return the image's index as text."""
        return str(index)

    def fingerprint(self) -> str:
        """Return a hash of the shape and all pixels."""
        digest = hashlib.blake2b(repr(self._images.shape).encode(), digest_size=16)
        for image in self._images:
            digest.update(np.ascontiguousarray(image).data)
        return digest.hexdigest()

    def read(self, index: int) -> Pixels:
        """Return one image, as gray if its channels are equal everywhere."""
        return gray_if_equal(np.ascontiguousarray(self._images[index]))


def open_npz(path: str | Path) -> ArraySource:
    """Open the array `images` of an `.npz` file; other arrays in it, labels for instance, are not read.

    Raises:
        InputError: If the file is not an `.npz`, or `images` is missing or of a wrong type or shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = sorted(archive.files)
            images = archive["images"] if "images" in found else None
    except MemoryError as error:
        raise UmetaError(f"{path}: the array `images` does not fit in memory") from error
    except Exception as error:  # zip, zlib and NumPy headers each have their own errors
        raise InputError(f"{path}: cannot be read as an .npz file with an array `images` ({error})") from error
    if images is None:
        raise InputError(f"{path}: has no array `images`; found {', '.join(found) or 'nothing'}")
    return ArraySource(images, str(Path(path).absolute()))


def open_source(spec: str | Path) -> ImageSource:
    """Open a folder of images, an `.npz` file, or shards: Parquet, WebDataset tars, a folder that Hugging Face `datasets` saved.

    A folder that holds an image file is a folder of images; one without any may hold shards.

    Args:
        spec: A path; `~` is the home folder. Or a URL that fsspec reads, of a folder or a shard. Names of benchmarks are resolved before
            this is called.

    Raises:
        InputError: If nothing is there, or it is something else.
        UmetaError: If the storage behind a URL does not answer.
    """
    if is_url(spec):
        return _open_remote(RemotePath.of(str(spec)))
    path = Path(spec).expanduser()
    suffix = path.suffix.lower()
    if str(spec) == "" or not path.exists():
        raise InputError(f"source {str(spec)!r} does not exist; give {_ACCEPTED}")
    if path.is_dir():
        return _open_folder(path)
    if suffix in SHARD_SUFFIXES:
        return open_sharded(path)
    if suffix == ".npz" and path.is_file():
        return open_npz(path)
    if suffix in _NEVER_OPENED:
        raise InputError(f"{spec}: a {suffix} file can run code and is never opened; give {_ACCEPTED}")
    if suffix[1:] in IMAGE_EXTENSIONS:
        raise InputError(f"{spec} is a single image; give the folder that holds your images, such as {path.parent}")
    raise InputError(f"{spec}: cannot be used as a source of images; give {_ACCEPTED}")


def _open_folder(path: Place) -> ImageSource:
    if isinstance(path, Path) and is_saved_dataset(path):
        return open_sharded(path)
    try:
        return FolderSource(path)
    except InputError:
        if shard_files(path):
            return open_sharded(path)
        raise


def _open_remote(place: RemotePath) -> ImageSource:
    if place.is_dir():
        return _open_folder(place)
    if place.suffix.lower() in SHARD_SUFFIXES and place.is_file():
        return open_sharded(place)
    raise InputError(
        f"{place} is not there, or is not a source of images; give a folder of images, a .parquet or .tar file, or a folder of those"
    )


def _digest(names: Sequence[str], stamps: Sequence[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, found in zip(names, stamps, strict=True):
        digest.update(f"{name}\0{found}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _decoded(place: Place) -> Pixels:
    if not isinstance(place, RemotePath):
        return decode_file(place)
    try:
        return decode_stream(io.BytesIO(place.read()))
    except FileNotFoundError as error:
        raise BadImageError("no such file") from error


def _is_candidate(entry: os.DirEntry[str]) -> bool:
    try:
        return has_image_name(entry.name) and entry.is_file()
    except OSError:  # a link to itself
        return False
