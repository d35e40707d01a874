"""Knows how encoded images lie in Parquet files, WebDataset tars and Hugging Face dataset folders, and finds each by its number."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import tarfile
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from umeta.core.errors import InputError, UmetaError
from umeta.images.pixels import IMAGE_EXTENSIONS, BadImageError, Pixels, decode_stream, has_image_name
from umeta.images.remote import Place, RemotePath, lost, read_part, stamp

SHARD_SUFFIXES = (".parquet", ".tar")
_USUAL_COLUMNS = ("image", "images", "img", "jpg", "jpeg", "png", "webp", "bytes")
_BLOCKS_KEPT = 4


class Shard(Protocol):
    """One file of encoded images, which can be taken to another process."""

    path: Place

    def __len__(self) -> int:
        """Return the number of images."""

    def item_name(self, index: int, /) -> str:
        """Return what to call one image in messages."""

    def encoded(self, index: int, /) -> bytes | None:
        """Return the bytes of one image file, or None where there are none."""


class ShardedSource:
    """Images in one or several shards, in the order of the shards' paths. Columns and members that are no images are never read.

    Attributes:
        name: The absolute path of what was opened.
    """

    def __init__(self, name: str, shards: Sequence[Shard]) -> None:
        """Put shards one behind the other.

        Raises:
            InputError: If they hold no image.
        """
        self.name = name
        self._shards = list(shards)
        self._ends = list(accumulate(len(shard) for shard in self._shards))
        if not self._ends or not self._ends[-1]:
            looked_for = ", ".join(f"*.{extension}" for extension in IMAGE_EXTENSIONS)
            raise InputError(f"no images found in {name} (looked for rows with bytes, or members {looked_for})")

    def __len__(self) -> int:
        """Return the number of candidate images."""
        return self._ends[-1]

    def item_name(self, index: int) -> str:
        """Return the shard's file name and what the shard calls the image."""
        shard, within = self._find(index)
        return f"{shard.path.name}/{shard.item_name(within)}"

    def fingerprint(self) -> str:
        """Return a hash of every shard's name, size and time of change."""
        digest = hashlib.blake2b(digest_size=16)
        for shard in self._shards:
            digest.update(f"{shard.path.name}\0{stamp(shard.path)}\0".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def read(self, index: int) -> Pixels:
        """Decode one image.

        Raises:
            BadImageError: If it has no bytes, or they are empty, truncated, too large, or not an image.
            UmetaError: If the shard is gone or damaged since it was opened.
        """
        shard, within = self._find(index)
        try:
            encoded = shard.encoded(within)
        except UmetaError:
            raise
        except Exception as error:  # storage and pyarrow have errors of their own
            raise UmetaError(lost(shard.path, error)) from error
        if encoded is None:
            raise BadImageError("no bytes in this row")
        return decode_stream(io.BytesIO(encoded))

    def _find(self, index: int) -> tuple[Shard, int]:
        number = bisect_right(self._ends, index)
        return self._shards[number], index - (self._ends[number - 1] if number else 0)


class TarShard:
    """A WebDataset tar: members with an image extension, read by their place in the file.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Place) -> None:
        """Read all headers once.

        Raises:
            InputError: If it is not an uncompressed tar; a compressed one cannot be read by place.
        """
        self.path = path
        try:
            with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
                self._members = [(m.name, m.offset_data, m.size) for m in archive if m.isreg() and has_image_name(m.name)]
        except (tarfile.TarError, OSError, EOFError) as error:
            raise InputError(f"{path}: cannot be read as an uncompressed tar ({error})") from error

    def __len__(self) -> int:
        """Return the number of members that have an image extension."""
        return len(self._members)

    def item_name(self, index: int) -> str:
        """Return the member's name."""
        return self._members[index][0]

    def encoded(self, index: int) -> bytes:
        """Return the member's bytes."""
        _, offset, size = self._members[index]
        return read_part(self.path, offset, size)


class TableShard:
    """An Apache Arrow table on disk, in blocks of rows of which the last few that were used stay in memory.

    Attributes:
        path: The file.
        column: The column that holds encoded images.
    """

    def __init__(
        self,
        path: Place,
        schema: Any,
        sizes: Sequence[int],
        read_block: Callable[[int, str], Any],
        opened_by: Callable[[Any], TableShard],
    ) -> None:
        """Choose the column.

        Args:
            path: The file.
            schema: Its `pyarrow.Schema`.
            sizes: Rows in each block.
            read_block: Returns one column of one block as an Arrow array.
            opened_by: Opens the file again in another process.

        Raises:
            InputError: If no column, or more than one, may hold images.
        """
        self.path = path
        self.column, self.type = _image_column(path, schema)
        self._ends = list(accumulate(sizes))
        self._read_block, self._opened_by = read_block, opened_by
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return self._opened_by, (self.path,)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._ends[-1] if self._ends else 0

    def item_name(self, index: int) -> str:
        """Return the number of the row."""
        return f"row {index}"

    def encoded(self, index: int) -> bytes | None:
        """Return the bytes in one row."""
        number = bisect_right(self._ends, index)
        value = self._block(number)[index - (self._ends[number - 1] if number else 0)].as_py()
        found: bytes | None = value["bytes"] if isinstance(value, dict) else value
        return found

    def _block(self, number: int) -> Any:
        with self._lock:
            if number not in self._kept:
                self._kept[number] = self._read_block(number, self.column)
            self._kept.move_to_end(number)
            while len(self._kept) > _BLOCKS_KEPT:
                self._kept.popitem(last=False)
            return self._kept[number]


def open_parquet(path: Place) -> TableShard:
    """Open a Parquet file; its row groups are the blocks.

    Raises:
        InputError: If it is none, pyarrow is missing, or no column holds encoded images.
    """
    parquet = _pyarrow("pyarrow.parquet", path)
    try:
        file = parquet.ParquetFile(path.open() if isinstance(path, RemotePath) else path)
    except Exception as error:  # pyarrow has errors of its own for each way to be broken
        raise InputError(f"{path}: cannot be read as a Parquet file ({_one_line(error)})") from error
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]

    def read(number: int, column: str) -> Any:
        return file.read_row_group(number, [column]).column(column)

    return TableShard(path, file.schema_arrow, sizes, read, open_parquet)


def open_arrow(path: Path) -> TableShard:
    """Open an Arrow stream as `datasets` saves it; memory-mapped, its record batches are the blocks.

    Raises:
        InputError: If it is none, pyarrow is missing, or no column holds encoded images.
    """
    arrow = _pyarrow("pyarrow", path)
    try:
        table = arrow.ipc.open_stream(arrow.memory_map(str(path))).read_all()
    except Exception as error:  # as above
        raise InputError(f"{path}: cannot be read as an Arrow stream ({_one_line(error)})") from error
    batches = table.to_batches()

    def read(number: int, column: str) -> Any:
        return batches[number].column(column)

    return TableShard(path, table.schema, [len(batch) for batch in batches], read, open_arrow)


def open_sharded(path: Place) -> ShardedSource:
    """Open one shard, a folder of shards (found recursively), or a folder on disk that `datasets` saved.

    Raises:
        InputError: If a shard cannot be read, or shards differ in where they keep images.
    """
    files: Sequence[Place]
    if path.is_file():
        files = [path]
    elif not isinstance(path, RemotePath) and is_saved_dataset(path):
        files = _saved_files(path)
    else:
        files = shard_files(path)
    openers: dict[str, Callable[[Any], Shard]] = {".tar": TarShard, ".parquet": open_parquet, ".arrow": open_arrow}
    shards: list[Shard] = []
    for file in files:
        shard = openers[file.suffix.lower()](file)
        first = next((one for one in shards if isinstance(one, TableShard)), None)
        if isinstance(shard, TableShard) and first is not None and (shard.column, shard.type) != (first.column, first.type):
            raise InputError(
                f"{file}: its images are in column `{shard.column}` ({shard.type}), those of {first.path.name} in column "
                f"`{first.column}` ({first.type}); give shards of one schema"
            )
        shards.append(shard)
    return ShardedSource(str(path if isinstance(path, RemotePath) else path.absolute()), shards)


def shard_files(folder: Place) -> Sequence[Place]:
    """Return the shards below a folder in the order of their paths."""
    if isinstance(folder, RemotePath):
        return [folder / name for name in sorted(folder.files(), key=PurePosixPath) if name.lower().endswith(SHARD_SUFFIXES)]
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SHARD_SUFFIXES and file.is_file())


def is_saved_dataset(path: Path) -> bool:
    """Tell whether `datasets` saved this folder."""
    return any((path / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _saved_files(path: Path) -> list[Path]:
    if (path / "dataset_dict.json").is_file():
        splits = ", ".join(str(folder) for folder in sorted(path.iterdir()) if is_saved_dataset(folder))
        raise InputError(f"{path} holds several splits; give one: {splits or 'there is none'}")
    try:
        listed = [path / entry["filename"] for entry in json.loads((path / "state.json").read_text())["_data_files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: its state.json does not name the data files of a saved dataset ({_one_line(error)})") from error
    if missing := next((file for file in listed if not file.is_file() or file.parent != path or file.suffix != ".arrow"), None):
        raise InputError(f"{path}: state.json names {missing.name}, which is not an Arrow file in this folder")
    return listed


def _image_column(path: Place, schema: Any) -> tuple[str, str]:
    arrow = _pyarrow("pyarrow", path)

    def holds_bytes(kind: Any) -> bool:
        if arrow.types.is_struct(kind):
            return any(kind.field(i).name == "bytes" and holds_bytes(kind.field(i).type) for i in range(kind.num_fields))
        return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))

    able = [field.name for field in schema if holds_bytes(field.type)]
    chosen = able if len(able) == 1 else [name for name in _USUAL_COLUMNS if name in able][:1]
    if not chosen:
        found = ", ".join(f"{field.name} ({_kind(field.type)})" for field in schema)
        wanted = "no column holds encoded images" if not able else f"columns {', '.join(able)} may hold encoded images"
        raise InputError(
            f"{path}: {wanted}; name the one that does `image`, of type binary or a struct with a field `bytes`; found {found or 'none'}"
        )
    return chosen[0], _kind(schema.field(chosen[0]).type)


def _kind(kind: Any) -> str:
    return str(kind).partition("<")[0]


def _pyarrow(module: str, path: Place) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{path}: reading it needs pyarrow; pip install 'umeta[parquet]'") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
