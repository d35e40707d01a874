"""Knows how files behind a URL are listed and read, and what is told when their storage does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeAlias

from umeta.core.errors import InputError, UmetaError

_TIMES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created")
_PAGES = ("http", "https")


@dataclass(frozen=True)
class RemotePath:
    """A file or folder behind a URL that fsspec can read, with what sources need of `pathlib.Path`.

    Credentials and further settings are those that fsspec finds: its configuration files, the variables of the environment.

    Attributes:
        url: Without a slash at the end.
        system: fsspec's file system.
        root: What that calls the place.
    """

    url: str
    system: Any
    root: str

    @classmethod
    def of(cls, url: str) -> RemotePath:
        """Name a place; nothing is read yet.

        Raises:
            InputError: If what reads such URLs is not installed, or nothing does.
        """
        try:
            from fsspec.core import url_to_fs

            system, root = url_to_fs(url)
        except ImportError as error:
            raise InputError(f"{url}: {error}; install what reads s3, gs and http by: pip install 'umeta[remote]'") from error
        except Exception as error:  # each file system has errors of its own
            raise InputError(
                f"{url}: cannot be opened ({_one_line(error)}); give a URL that fsspec knows, as s3://BUCKET/FOLDER"
            ) from error
        return cls(url.rstrip("/"), system, root.rstrip("/"))

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The extension of the name with its dot, or nothing."""
        return PurePosixPath(self.name).suffix

    def __str__(self) -> str:
        """Return the URL."""
        return self.url

    def __truediv__(self, relative: str) -> RemotePath:
        """Return a place below this one."""
        return replace(self, url=f"{self.url}/{relative}", root=f"{self.root}/{relative}")

    def is_dir(self) -> bool:
        """Tell whether a folder is there now; a page of links counts as one.

        Raises:
            UmetaError: If the storage does not answer.
        """
        return self._kind() == "directory"

    def is_file(self) -> bool:
        """Tell whether a file is there now.

        Raises:
            UmetaError: If the storage does not answer.
        """
        return self._kind() == "file"

    def _kind(self) -> str | None:
        with self._answering():
            self.system.invalidate_cache()
            try:
                kind: str = self.system.info(self.root)["type"]
            except FileNotFoundError:
                return None
        page = self.url.startswith(_PAGES) and not self.suffix
        return "directory" if page else kind

    def files(self) -> dict[str, str]:
        """Return all files below a folder by their relative paths, each with a text that differs when it was rewritten.

        Raises:
            UmetaError: If the storage does not answer.
        """
        with self._answering():
            found = self.system.find(self.root, detail=True)
        return {name[len(self.root) :].lstrip("/"): _stamp(info) for name, info in found.items()}

    def stamp(self) -> str:
        """Return a text that differs when the file was rewritten."""
        with self._answering():
            return _stamp(self.system.info(self.root))

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open a file for reading by ranges.

        Raises:
            UmetaError: If it cannot be opened.
        """
        with self._answering():
            file: BinaryIO = self.system.open(self.root, mode)
            return file

    def read(self, offset: int | None = None, size: int = 0) -> bytes:
        """Return the content of a file, or `size` bytes of it from `offset` on.

        Raises:
            FileNotFoundError: If there is no such file.
            UmetaError: If the storage does not answer.
        """
        with self._answering():
            content: bytes = self.system.cat_file(self.root, start=offset, end=None if offset is None else offset + size)
            return content

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:  # as above
            raise UmetaError(lost(self.url, error)) from error


Place: TypeAlias = Path | RemotePath


def lost(place: object, error: Exception | None = None) -> str:
    """Return what is told of a place that can no longer be read."""
    reason = f" ({_one_line(error)})" if error else ""
    return f"{place} cannot be read{reason}; see that its storage is there and lets you in, then give the same command again"


def is_url(spec: object) -> bool:
    """Tell whether a source is named by a URL."""
    return "://" in str(spec)


def stamp(place: Place) -> str:
    """Return a text that differs when a file was rewritten."""
    if isinstance(place, RemotePath):
        return place.stamp()
    status = place.stat()
    return f"{status.st_size}\0{status.st_mtime_ns}"


def read_part(place: Place, offset: int, size: int) -> bytes:
    """Return `size` bytes of a file from `offset` on, and no others."""
    if isinstance(place, RemotePath):
        return place.read(offset, size)
    with place.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _stamp(info: dict[str, Any]) -> str:
    return f"{info.get('size')}\0{next((info[key] for key in _TIMES if info.get(key) is not None), '')}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
