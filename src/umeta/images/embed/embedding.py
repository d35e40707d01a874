"""Knows the artifact of an embedding: the matrix, the pool it belongs to, and the encoder for images to come."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from umeta.artifacts.artifact import read_artifact, write_artifact
from umeta.core.errors import InputError
from umeta.images.embed.registry import restore_encoder
from umeta.images.embed.training import StoredEncoder
from umeta.images.learners.classifier import restored

KIND = "embedding"
_EARLIER_KINDS = {"acai": "acai", "pixels": "pixels", "contrast": "pixels"}


@dataclass(frozen=True)
class Embedding:
    """One vector per image of a pool.

    Attributes:
        matrix: Shape [n, dim].
        pool: Fingerprint of the pool's content, in the pool's order.
        method: A key of `EMBEDDERS`; "pixels" (contrast-normalized and whitened) or "contrast" (not whitened); "outside": by a network
            that others trained; or "external": a matrix.
        encoder: Embeds further images; None for an external matrix.
    """

    matrix: Float[Tensor, "n dim"]
    pool: str
    method: str
    encoder: StoredEncoder | None

    def write(self, folder: Path) -> None:
        """Write the artifact."""
        tensors = {"matrix": self.matrix}
        info: dict[str, Any] = {"method": self.method, "pool": self.pool, "kind": None, "settings": {}}
        if self.encoder is not None:
            tensors |= {f"encoder.{key}": value for key, value in self.encoder.state_dict().items()}
            info |= {"kind": self.encoder.kind, "settings": self.encoder.describe()}
        write_artifact(folder, KIND, tensors, info)

    @classmethod
    def read(cls, folder: Path, pool: str | None = None) -> "Embedding":
        """Read the artifact; raises `InputError` if it was made for another pool than the one given."""
        tensors, info = read_artifact(folder, KIND)
        if pool is not None and info["pool"] != pool:
            raise InputError(f"{folder} holds the embedding of other images; train one for this source or give its own")
        kind = info.get("kind", _EARLIER_KINDS.get(info["method"]))
        encoder = restore_encoder(kind, info["settings"], restored(tensors, "encoder.")) if kind else None
        return cls(tensors["matrix"], info["pool"], info["method"], encoder)
