"""Knows the vectors that an encoder of others gave before, by the content of encoder and image, whatever run they were made for."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from umeta.artifacts.artifact import read_artifact, write_artifact
from umeta.core.errors import ArtifactError, UmetaError
from umeta.core.hands import Hands, in_turn
from umeta.images.embed.encoder import embed_all
from umeta.images.embed.outside import OutsideEncoder

KIND = "vectors"
EACH = 256
BATCH = 64


def usual_folder() -> Path:
    """Return where vectors are kept: `$UMETA_CACHE`, else `umeta` in the user's folder for caches."""
    own, shared = os.environ.get("UMETA_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else (Path(shared) if shared else Path.home() / ".cache") / "umeta"


@dataclass(frozen=True)
class KnownVectors:
    """The vectors of one encoder for images of one size, in files of a few hundred, each complete or not there.

    Attributes:
        folder: Where the files are; it can be deleted at any time.
    """

    folder: Path

    @classmethod
    def of(cls, encoder: OutsideEncoder, images: NDArray[np.uint8]) -> "KnownVectors":
        """Return those of an encoder, whatever its name is or labels are said to be, for images `[n, c, h, w]` of this size."""
        told = {key: value for key, value in encoder.describe().items() if key in ("sha256", "intake")}
        key = json.dumps(told | {"shape": images.shape[1:]}, sort_keys=True)
        return cls(usual_folder() / "vectors" / hashlib.sha256(key.encode()).hexdigest()[:32])

    def read(self) -> tuple[dict[bytes, int], Float[Tensor, "n dim"]]:
        """Return the row of each known image by its content hash, and the rows; a damaged file counts as not there."""
        rows, parts, before = dict[bytes, int](), [], 0
        for path in sorted(self.folder.glob("*")) if self.folder.is_dir() else ():
            try:
                tensors, _ = read_artifact(path, KIND)
            except ArtifactError:
                continue
            rows |= {row.tobytes(): before + number for number, row in enumerate(tensors["hashes"].numpy())}
            parts.append(tensors["vectors"])
            before += len(parts[-1])
        return rows, torch.cat(parts) if parts else torch.empty(0, 0)

    def add(self, hashes: UInt8[Tensor, "n 16"], vectors: Float[Tensor, "n dim"]) -> None:
        """Keep the vectors of images that are not known yet; raises `UmetaError` where they cannot be written."""
        name = hashlib.sha256(hashes.numpy().tobytes()).hexdigest()[:32]
        write_artifact(self.folder / name, KIND, {"hashes": hashes, "vectors": vectors}, {})


def embed_once(
    encoder: OutsideEncoder,
    images: NDArray[np.uint8],
    hashes: NDArray[np.uint8],
    *,
    on_progress: Callable[[int, int], None],
    note: Callable[[str], None],
    by: Hands = in_turn,
) -> Float[Tensor, "n dim"]:
    """Embed a pool of images, but those only that the encoder never embedded before; what is done stays done if the work is stopped.

    Args:
        encoder: Maps images to vectors.
        images: Shape [n, c, h, w]; may be memory-mapped.
        hashes: Shape [n, 16], the content hash of each image; images of one hash have one vector.
        on_progress: Called with images done and in all.
        note: Told how many were known, and why vectors are not kept if they cannot be.
        by: Who embeds.
    """
    known = KnownVectors.of(encoder, images)
    rows, kept = known.read()
    contents = [row.tobytes() for row in np.asarray(hashes)]
    missing = np.array([place for place, content in enumerate(contents) if content not in rows], np.int64)
    if len(missing) < len(images):
        note(f"{len(images) - len(missing)} of {len(images)} images were embedded by this encoder before; they are not embedded again")
    matrix, keeps = torch.empty(0), True
    for start in range(0, len(missing), EACH):
        places = missing[start : start + EACH]
        done = len(images) - len(missing) + start
        told = partial(_tell, on_progress, done, len(images))
        new = embed_all(encoder, images[places], batch_size=BATCH, on_progress=told, by=by)
        if not len(matrix):
            matrix = new.new_empty(len(images), new.shape[1])
        matrix[places] = new
        if keeps:
            try:
                known.add(torch.from_numpy(np.array(hashes[places])), new)
            except UmetaError as error:
                keeps = False
                note(f"vectors are not kept for other runs: {error}")
    if not len(matrix):
        matrix = kept.new_empty(len(images), kept.shape[1])
    if rows:
        places = np.setdiff1d(np.arange(len(images)), missing)
        matrix[places] = kept[[rows[contents[place]] for place in places]]
    return matrix


def _tell(on_progress: Callable[[int, int], None], before: int, n: int, done: int, _: int) -> None:
    on_progress(before + done, n)
