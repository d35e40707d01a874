"""Knows how a picture gets into a page that asks nothing of a network."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from umeta.core.errors import ArtifactError

SHOWN_SIDE = 56


@dataclass(frozen=True)
class Sheet:
    """A picture in the report.

    Attributes:
        uri: The PNG itself, as a `data:` address.
        width: In pixels.
        height: In pixels.
        told: What somebody who does not see it is told.
    """

    uri: str
    width: int
    height: int
    told: str

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], told: str, side: int = SHOWN_SIDE) -> "Sheet":
        """Return a picture; one made of images that are `side` pixels wide is enlarged to where they can be seen."""
        scale = max(SHOWN_SIDE // side, 1)
        image = Image.fromarray(pixels)
        buffer = io.BytesIO()
        image.save(buffer, "PNG", optimize=True)
        uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        return cls(uri, image.width * scale, image.height * scale, told)

    @classmethod
    def read(cls, path: Path, told: str) -> "Sheet | None":
        """Return the picture in a PNG file, None if there is no such file; raises `ArtifactError` if it cannot be read."""
        try:
            with Image.open(path, formats=("PNG",)) as image:
                pixels = np.asarray(image.convert("RGB"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise ArtifactError(f"{path} is not a readable picture; it was altered") from error
        return cls.of(pixels, told)
