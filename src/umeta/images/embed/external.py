"""Knows how an embedding that was made elsewhere enters."""

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from umeta.core.errors import InputError

KEYS = ("embedding", "Z")


def read_embedding(path: Path, n_images: int) -> Float[Tensor, "n dim"]:
    """Read a matrix with one row per image of the pool, in its order, from an `.npz` with an array `embedding` (or CACTUs' `Z`).

    Raises:
        InputError: No such array, another number of rows than images, or values that are not finite.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            key = next((key for key in KEYS if key in archive.files), None)
            found = ", ".join(archive.files)
            matrix = np.asarray(archive[key], np.float32) if key is not None else None
    except (OSError, ValueError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is not a readable .npz file of numbers ({type(error).__name__})") from error
    if matrix is None:
        raise InputError(f"{path} has no array named {' or '.join(KEYS)}; it has {found or 'none'}")
    if matrix.ndim != 2 or len(matrix) != n_images:
        raise InputError(
            f"{path}: the embedding has shape {list(matrix.shape)}, but the pool has {n_images} images; give one row per image"
        )
    broken = np.flatnonzero(~np.isfinite(matrix).all(1))
    if broken.size:
        raise InputError(
            f"{path}: {broken.size} of {n_images} rows hold NaN or infinite values, the first is row {broken[0]}; embed these images anew"
        )
    return torch.from_numpy(matrix)
