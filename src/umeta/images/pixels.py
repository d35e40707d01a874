"""Knows the rules that turn an image of any kind into 8-bit pixels, a content hash, and a square of one size."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from umeta.core.errors import UmetaError

Pixels: TypeAlias = NDArray[np.uint8]

MAX_MEGAPIXELS = 50
IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "webp", "ppm", "pgm")
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


class BadImageError(UmetaError):
    """One image that cannot be used; the message is a short reason without the image's name."""


class OversizedImageError(BadImageError):
    """An image of more pixels than are ever decoded."""


def decode_file(path: Path) -> Pixels:
    """Decode one file at full resolution.

    * Over 50 megapixels by its header: refused, never decoded.
    * Animations and multi-page files: the first frame. EXIF orientation is applied.
    * 16-bit gray: divided by 257. 32-bit integers: unchanged if within 0..255, divided by 257 if within 0..65535, else
      treated as floats. 16-bit color is decoded by Pillow, which keeps the high byte.
    * Floats: each image's minimum becomes 0 and its maximum 255; non-finite pixels count as the minimum.
    * Palette, 1-bit, CMYK and other color spaces: gray or RGB. Transparency is composited on white.
    * Color whose three channels are equal everywhere: gray.

    Returns:
        uint8 `[h, w]` (gray) or `[h, w, 3]` (color).

    Raises:
        BadImageError: If there is no such file, or it is empty, truncated, too large, or not an image.
    """
    try:
        if not path.is_file():
            raise BadImageError("is a folder" if path.is_dir() else "no such file")
        with path.open("rb") as file:
            return decode_stream(file)
    except OSError as error:
        raise BadImageError(f"damaged: {error.strerror or error}") from error


def decode_stream(file: BinaryIO) -> Pixels:
    """Decode an open file, or bytes in memory, by the rules of `decode_file`.

    Raises:
        BadImageError: If it is empty, truncated, too large, or not an image.
    """
    try:
        if not file.read(1):
            raise BadImageError("empty file")
        file.seek(0)
        with Image.open(file, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MAX_MEGAPIXELS * 1_000_000:
                raise OversizedImageError(f"too large: {width}x{height} is over {MAX_MEGAPIXELS} megapixels")
            return decode_image(image)
    except BadImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise OversizedImageError(f"too large: over {MAX_MEGAPIXELS} megapixels") from error
    except UnidentifiedImageError as error:
        raise BadImageError("not an image of a known format") from error
    except MemoryError as error:
        raise BadImageError("not enough memory to decode it") from error
    except Exception as error:  # a decoder fed with arbitrary bytes raises nearly anything
        reason = str(getattr(error, "strerror", None) or error or type(error).__name__)
        raise BadImageError(f"damaged: {' '.join(reason.split())[:120]}") from error


def decode_image(image: Image.Image) -> Pixels:
    """Return an open picture's pixels by the rules of `decode_file`, which also guards against damaged and oversized ones."""
    image.load()
    return gray_if_equal(_upright(_to_uint8(image), image))


def gray_if_equal(pixels: Pixels) -> Pixels:
    """Return `[h, w]` where nothing is lost by it: one channel, or three that are equal everywhere."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 3:
        for part in (pixels[:1], pixels):  # the first row settles nearly every photo
            if not np.array_equal(part[..., 0], part[..., 1]) or not np.array_equal(part[..., 1], part[..., 2]):
                return pixels
    return np.ascontiguousarray(pixels[..., 0])


def has_image_name(path: str) -> bool:
    """Tell by its extension whether a file should be an image; macOS `._` companions are none."""
    stem, dot, extension = path.rpartition("/")[2].rpartition(".")
    return bool(dot) and extension.lower() in IMAGE_EXTENSIONS and not stem.startswith("._")


def content_hash(pixels: Pixels) -> bytes:
    """Return 16 bytes that are equal for equal pixels, whatever file they came from.

    BLAKE2b-128 of `"{h}x{w}x{c}"` and the pixels in row order; color with equal channels is hashed as gray. Hash the
    image at full resolution: a resized copy has another hash.
    """
    pixels = np.ascontiguousarray(gray_if_equal(pixels))
    height, width, *channels = pixels.shape
    digest = hashlib.blake2b(f"{height}x{width}x{(*channels, 1)[0]}".encode(), digest_size=16)
    digest.update(pixels.data)
    return digest.digest()


def fit_square(pixels: Pixels, size: int, n_channels: int) -> Pixels:
    """Return the image as `[n_channels, size, size]`.

    Color becomes gray as ITU-R 601 luma, gray becomes color by repetition. The largest centered square is cut out, then
    resized with an antialiased Lanczos filter; that is a resize of the short side followed by a center crop, at less
    cost for long panoramas. A square that has the size already keeps its bits.
    """
    if pixels.shape == ((size, size) if n_channels == 1 else (size, size, n_channels)):
        return np.ascontiguousarray(pixels.reshape(size, size, n_channels).transpose(2, 0, 1))
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    image = Image.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    image = image.convert("L" if n_channels == 1 else "RGB")
    if side != size:
        image = image.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0)
    square: Pixels = np.asarray(image).reshape(size, size, n_channels)
    return np.ascontiguousarray(square.transpose(2, 0, 1))


def _to_uint8(image: Image.Image) -> Pixels:
    if image.mode == "F" or image.mode.startswith("I"):
        return _scaled(np.asarray(image))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _scaled(values: NDArray[np.generic]) -> Pixels:
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if low >= 0 and high <= 255 and values.dtype.itemsize > 2:
            return values.astype(np.uint8)
        if low >= 0 and high <= 65535:
            return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    real = values.astype(np.float64)
    finite = np.isfinite(real)
    if not finite.any():
        raise BadImageError("no finite pixel")
    lowest, highest = real[finite].min(), real[finite].max()
    real[~finite] = lowest
    scaled: Pixels = np.rint((real - lowest) * 255 / ((highest - lowest) or 1.0)).astype(np.uint8)
    return scaled


def _upright(pixels: Pixels, image: Image.Image) -> Pixels:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata on good pixels
        return pixels
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
