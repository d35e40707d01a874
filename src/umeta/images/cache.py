"""Knows how a source of images becomes one memory-mapped uint8 array on disk with a content hash per image."""

from __future__ import annotations

import csv
import functools
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from umeta.core.errors import ArtifactError, InputError, UmetaError
from umeta.core.hands import Hands, Threads
from umeta.images.pixels import BadImageError, Pixels, content_hash, fit_square
from umeta.images.reading import read_all
from umeta.images.source import Fingerprinted, ImageSource

FORMAT = 1
_FILES = {"images.npy", "hashes.npy", "names.json", "skipped.csv", "cache.json"}
_PROGRESS_EVERY = 16
_N_SAMPLED = 256
_RULES = {
    "resize": "largest centered square, Lanczos; untouched where it has the size already",
    "color_to_gray": "ITU-R 601 luma",
    "hash": "blake2b-128 of '{h}x{w}x{c}' and the full-resolution pixels",
}


@dataclass(frozen=True)
class ImageCache:
    """All usable images of a source at one size, read from disk as they are needed.

    Attributes:
        path: The folder.
        images: uint8 `[n, c, h, w]`, memory-mapped and read-only.
        hashes: uint8 `[n, 16]`, the content hash of each image at full resolution.
        info: What `cache.json` says: counts, source, settings, rules.
    """

    path: Path
    images: Pixels
    hashes: Pixels
    info: dict[str, Any]

    @functools.cached_property
    def names(self) -> Sequence[str]:
        """What each image was called in its source; read from disk on first use.

        Raises:
            ArtifactError: If `names.json` is missing or does not fit the images.
        """
        names: list[str] = _read_json(self.path / "names.json")
        if not isinstance(names, list) or len(names) != len(self.images):
            raise ArtifactError(f"{self.path / 'names.json'} does not name {len(self.images)} images; rebuild the cache")
        return names

    @classmethod
    def open(cls, path: str | Path) -> ImageCache:
        """Open a folder that `build_cache` wrote.

        Raises:
            ArtifactError: If a file is missing, truncated, or does not fit the others.
        """
        path = Path(path)
        info = _read_json(path / "cache.json")
        if not isinstance(info, dict) or info.get("format") != FORMAT:
            raise ArtifactError(f"{path / 'cache.json'} is not an image cache of format {FORMAT}; rebuild it")
        images, hashes = _read_array(path / "images.npy"), _read_array(path / "hashes.npy")
        if list(images.shape) != info.get("shape") or hashes.shape != (len(images), 16):
            found = f"images {list(images.shape)}, hashes {list(hashes.shape)}"
            raise ArtifactError(f"{path} is inconsistent: cache.json says {info.get('shape')}, found {found}; rebuild it")
        if not (path / "names.json").is_file():
            raise ArtifactError(f"{path / 'names.json'} is missing; rebuild the cache")
        return cls(path, images, hashes, info)


def build_cache(
    source: ImageSource,
    out: str | Path,
    *,
    image_size: int | None = None,
    kept_up_to: int = 84,
    color_size: int = 32,
    channels: int | None = None,
    n_workers: int = 2,
    drop_duplicates: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
    by: Hands | None = None,
) -> ImageCache:
    """Decode, resize and hash every image of a source once, so that training reads one array.

    Images keep the order of the source. Memory does not grow with their pixels, only by a hash and a name per image.
    The folder appears under its name when it is complete. A cache that is there already is reused if it was made from
    the same source with the same settings, and replaced if not.

    Args:
        source: Where the images come from; unreadable ones are named in `skipped.csv`.
        out: Folder to write; absent, empty, or an earlier cache.
        image_size: Side in pixels. None looks at up to 256 images spread over the source: if all are squares of one
            size, that size; else 28 for gray and `color_size` for color.
        kept_up_to: Squares of one larger size are not kept either.
        color_size: See `image_size`.
        channels: 1 or 3. None looks at the same images: 1 if all are gray, else 3. A color image that turns up later
            in a gray cache becomes luma, and `n_color_as_gray` in `cache.json` counts it; `n_elongated` counts images
            more than twice as long as wide, of which the middle is kept.
        n_workers: Threads that decode.
        drop_duplicates: Keep only the first of several images with equal pixels. They are counted in either case.
        on_progress: Called with the number of images done and the number of all.
        by: Who decodes instead of threads; the result is the same.

    Raises:
        InputError: If no image is readable or more than half are bad (the list is then beside `out`, as
            `<out>.skipped.csv`), if `out` holds anything else, or a setting is out of range.
        UmetaError: If the cache cannot be written; nothing is left under `out`.
    """
    if channels not in (None, 1, 3) or n_workers < 1 or (image_size is not None and image_size < 1):
        given = f"image_size={image_size}, channels={channels}, n_workers={n_workers}"
        raise InputError(f"{given}: image_size and n_workers must be at least 1, and channels 1 or 3")
    out = Path(out).absolute()
    origin = {
        "source": source.name,
        "n_source": len(source),
        "fingerprint": source.fingerprint() if isinstance(source, Fingerprinted) else None,
        "settings": {
            "image_size": image_size,
            "kept_up_to": kept_up_to,
            "color_size": color_size,
            "channels": channels,
            "drop_duplicates": drop_duplicates,
        },
    }
    partial = out.with_name(f"{out.name}.tmp-{os.getpid()}")
    try:
        if out.exists() and (not out.is_dir() or not {entry.name for entry in out.iterdir()} <= _FILES):
            raise InputError(f"{out} exists and is not an image cache; choose another folder")
        if (existing := _reusable(out, origin)) is not None:
            return existing
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        n_channels, size = _choose_shape(source, image_size, kept_up_to, color_size, channels, n_workers)
        counts = _fill(partial, source, (n_channels, size, size), by or Threads(n_workers), drop_duplicates, on_progress)
        _refuse_if_mostly_bad(source, counts["n_skipped"], partial, out)
        shape = [counts["n_images"], n_channels, size, size]
        mode = "gray" if n_channels == 1 else "color"
        info = {"format": FORMAT, **counts, "shape": shape, "mode": mode, **origin, "rules": _RULES}
        (partial / "cache.json").write_text(json.dumps(info, indent=2))
        _publish(partial, out)
    except OSError as error:
        raise UmetaError(f"cannot write the image cache {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return ImageCache.open(out)


def _choose_shape(
    source: ImageSource, size: int | None, kept_up_to: int, color_size: int, channels: int | None, n_workers: int
) -> tuple[int, int]:
    if size is None or channels is None:
        sample = sorted(set(np.linspace(0, len(source) - 1, min(len(source), _N_SAMPLED), dtype=int).tolist()))
        found = read_all(source, sample, lambda pixels: pixels.shape, Threads(n_workers))
        shapes = {shape for _, shape in found if not isinstance(shape, BadImageError)}
        if channels is None:
            channels = 1 if shapes and all(len(shape) == 2 for shape in shapes) else 3
        if size is None:
            sides = {side for shape in shapes for side in shape[:2]}
            size = sides.pop() if len(sides) == 1 and max(sides) <= kept_up_to else (28 if channels == 1 else color_size)
    return channels, size


def _fill(
    folder: Path,
    source: ImageSource,
    shape: tuple[int, int, int],
    by: Hands,
    drop_duplicates: bool,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, int]:
    prepare = functools.partial(_prepare, *shape[:2])
    seen: set[bytes] = set()
    hashes, names = bytearray(), list[str]()
    n_skipped = n_duplicates = n_color_as_gray = n_elongated = 0
    csv_options: dict[str, Any] = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}
    with (folder / "images.npy").open("wb") as file, (folder / "skipped.csv").open("w", **csv_options) as skipped:
        _write_header(file, (len(source), *shape))
        rows = csv.writer(skipped)
        rows.writerow(("name", "reason"))
        with closing(read_all(source, range(len(source)), prepare, by)) as results:
            for index, result in results:
                if on_progress is not None and ((index + 1) % _PROGRESS_EVERY == 0 or index + 1 == len(source)):
                    on_progress(index + 1, len(source))
                if isinstance(result, BadImageError):
                    n_skipped += 1
                    rows.writerow((source.item_name(index), str(result)))
                    continue
                digest, square, color_as_gray, elongated = result
                n_duplicates += digest in seen
                if drop_duplicates and digest in seen:
                    continue
                seen.add(digest)
                file.write(square.data)
                hashes += digest
                names.append(source.item_name(index))
                n_color_as_gray += color_as_gray
                n_elongated += elongated
        file.seek(0)
        _write_header(file, (len(names), *shape))
    np.save(folder / "hashes.npy", np.frombuffer(bytes(hashes), np.uint8).reshape(-1, 16))
    (folder / "names.json").write_text(json.dumps(names))
    return {
        "n_images": len(names),
        "n_skipped": n_skipped,
        "n_duplicates": n_duplicates,
        "n_color_as_gray": n_color_as_gray,
        "n_elongated": n_elongated,
    }


def _prepare(n_channels: int, size: int, pixels: Pixels) -> tuple[bytes, Pixels, bool, bool]:
    square = fit_square(pixels, size, n_channels)
    return content_hash(pixels), square, pixels.ndim == 3 and n_channels == 1, max(pixels.shape[:2]) > 2 * min(pixels.shape[:2])


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    # NumPy pads the header so that its length does not depend on the first dimension; it is written again at the end.
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _refuse_if_mostly_bad(source: ImageSource, n_bad: int, partial: Path, out: Path) -> None:
    if 2 * n_bad <= len(source):
        return
    listed = out.with_name(f"{out.name}.skipped.csv")
    (partial / "skipped.csv").replace(listed)
    where = f"the reasons are in {listed}"
    if n_bad == len(source):
        raise InputError(f"no images found in {source.name}: none of {n_bad} files could be read; {where}")
    raise InputError(f"{source.name}: {n_bad} of {len(source)} images are bad, more than half; {where}")


def _publish(partial: Path, out: Path) -> None:
    if not out.exists():
        partial.replace(out)
        return
    old = out.with_name(f"{out.name}.old-{os.getpid()}")
    out.replace(old)
    partial.replace(out)
    shutil.rmtree(old, ignore_errors=True)


def _reusable(out: Path, origin: dict[str, Any]) -> ImageCache | None:
    try:
        cache = ImageCache.open(out)
    except ArtifactError:
        return None
    return cache if all(cache.info.get(key) == value for key, value in origin.items()) else None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is missing or damaged; rebuild the cache ({error})") from error


def _read_array(path: Path) -> Pixels:
    try:
        array: Pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ArtifactError(f"{path} is missing or damaged; rebuild the cache ({error})") from error
    if array.dtype != np.uint8:
        raise ArtifactError(f"{path} holds {array.dtype}, not uint8; rebuild the cache")
    return array
