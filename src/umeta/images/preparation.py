"""Knows how pictures in any form that a user has become arrays of a procedure's size and channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from umeta.core.errors import InputError
from umeta.images.embed.encoder import to_float
from umeta.images.pixels import BadImageError, decode_file, decode_image, fit_square
from umeta.images.reading import read_stacked
from umeta.images.source import ArraySource

OneImage: TypeAlias = "NDArray[np.generic] | Image.Image | Path | str"
Images: TypeAlias = "NDArray[np.generic] | Sequence[OneImage]"


def check_several(images: Any) -> None:
    """Refuse one image where several are meant, whose letters or rows would be taken for images.

    Raises:
        InputError: It is a path or a picture, or an array [h, w, 1] or [h, w, 3].
    """
    if isinstance(images, str | Path | Image.Image):
        raise InputError(f"{images} is one image; give a list of paths" if not isinstance(images, Image.Image) else "give a list of images")
    shape: tuple[int, ...] = getattr(images, "shape", ())
    if len(shape) == 3 and shape[2] in (1, 3):
        raise InputError(f"images have shape {list(shape)}; one image? give images[None]")


@dataclass(frozen=True)
class Preparation:
    """The size and channels that a procedure wants; images are brought there by the same rules as the training pool.

    Attributes:
        channels: 1 (gray) or 3 (color).
        side: In pixels; the short side is scaled to it and the middle is cut out.
    """

    channels: int
    side: int

    def pixels(self, image: OneImage) -> NDArray[np.uint8]:
        """Return one image as uint8 [c, side, side]; floats are taken to lie in `[0, 1]`."""
        if isinstance(image, str | Path):
            array: NDArray[Any] = decode_file(Path(image))
        elif isinstance(image, Image.Image):
            array = decode_image(image)
        else:
            array = np.asarray(image)
        if array.ndim == 3 and array.shape[-1] not in (1, 3) and array.shape[0] in (1, 3):
            array = np.moveaxis(array, 0, -1)
        if array.ndim == 3 and array.shape[-1] == 1:
            array = array[..., 0]
        if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3) or 0 in array.shape:
            raise InputError(f"an image has shape {list(array.shape)}; give [h, w], [h, w, 1], [h, w, 3] or channels first")
        if array.dtype != np.uint8:
            if not np.issubdtype(array.dtype, np.floating):
                raise InputError(f"an image has dtype {array.dtype}; images must be uint8, or floats in [0, 1]")
            if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
                raise InputError(f"an image has dtype {array.dtype} with values outside [0, 1]; give uint8, or floats in [0, 1]")
            array = np.round(array * 255).astype(np.uint8)
        return fit_square(array, self.side, self.channels)

    def stacked(self, images: Images) -> NDArray[np.uint8]:
        """Return images as one array, uint8 [n, c, side, side].

        Raises:
            InputError: There is one image where several are meant, or what is no image.
            BadImageError: A file or picture cannot be read; the message names the path, or the place in the sequence.
        """
        check_several(images)
        prepared = np.empty((len(images), self.channels, self.side, self.side), np.uint8)
        for index, image in enumerate(images):
            try:
                prepared[index] = self.pixels(image)
            except (BadImageError, InputError) as error:
                raise type(error)(f"{image if isinstance(image, str | Path) else f'image {index}'}: {error}") from error
        return prepared

    def batch(self, images: Images) -> Float[Tensor, "n c side side"]:
        """Return images as one tensor with values in `[0, 1]`; raises what `stacked` does."""
        return to_float(torch.from_numpy(self.stacked(images)))

    def pool(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return uint8 images [n, c, h, w] in this size and with these channels."""
        if images.shape[1:] == (self.channels, self.side, self.side):
            return images
        if len(images) == 0:
            return np.empty((0, self.channels, self.side, self.side), np.uint8)
        return read_stacked(ArraySource(np.moveaxis(images, 1, -1), "images"), self.side, self.channels)
