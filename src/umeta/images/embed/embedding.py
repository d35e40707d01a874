"""Knows the artifact of an embedding: the matrix, the pool it belongs to, and the encoder for images to come."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from umeta.artifacts.artifact import read_artifact, write_artifact
from umeta.core.errors import InputError
from umeta.images.embed.acai import Acai, AcaiEncoder
from umeta.images.embed.pixels import PixelsZca
from umeta.images.embed.vae import VaeEncoder
from umeta.images.learners.classifier import restored

KIND = "embedding"
TrainedEncoder = AcaiEncoder | PixelsZca | VaeEncoder


@dataclass(frozen=True)
class Embedding:
    """One vector per image of a pool.

    Attributes:
        matrix: Shape [n, dim].
        pool: Fingerprint of the pool's content, in the pool's order.
        method: "acai", "vae", "pixels" (contrast-normalized and whitened), "contrast" (not whitened) or "external".
        encoder: Embeds further images; None for an external matrix.
        settings: What `encoder` is rebuilt from.
    """

    matrix: Float[Tensor, "n dim"]
    pool: str
    method: str
    encoder: TrainedEncoder | None
    settings: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write the artifact."""
        tensors = {"matrix": self.matrix}
        if self.encoder is not None:
            tensors |= {f"encoder.{key}": value for key, value in self.encoder.state_dict().items()}
        write_artifact(folder, KIND, tensors, {"method": self.method, "pool": self.pool, "settings": dict(self.settings)})

    @classmethod
    def read(cls, folder: Path, pool: str | None = None) -> "Embedding":
        """Read the artifact; raises `InputError` if it was made for another pool than the one given."""
        tensors, info = read_artifact(folder, KIND)
        if pool is not None and info["pool"] != pool:
            raise InputError(f"{folder} holds the embedding of other images; train one for this source or give its own")
        weights = restored(tensors, "encoder.")
        encoder: TrainedEncoder | None = None
        if info["method"] == "acai":
            encoder = Acai.restore(info["settings"], weights)
        elif info["method"] == "vae":
            encoder = VaeEncoder.restore(info["settings"], weights)
        elif info["method"] in ("pixels", "contrast"):
            encoder = PixelsZca.restore(info["settings"], weights)
        return cls(tensors["matrix"], info["pool"], info["method"], encoder, info["settings"])
