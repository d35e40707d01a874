"""Knows how a vision network that others trained becomes an encoder: named, hashed, frozen, and honest about the labels it has seen."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from umeta.core.errors import ArtifactError, InputError

NOT_STATED = "not stated"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LUMA = (0.299, 0.587, 0.114)
USUAL_SIDE = 224
AT_ONCE = 32
HF, ONNX = "hf:", "onnx:"


@dataclass(frozen=True)
class Intake:
    """What a network wants to see.

    Attributes:
        channels: 1 or 3.
        side: In pixels.
        mean: Per channel, subtracted from values in `[0, 1]`.
        std: Per channel, divided by.
    """

    channels: int = 3
    side: int = USUAL_SIDE
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k s s"]:
        """Bring images with values in `[0, 1]` to this form; gray is repeated for color, color becomes luma for gray."""
        if images.shape[1] == 3 and self.channels == 1:
            images = (images * torch.tensor(LUMA).view(-1, 1, 1)).sum(1, keepdim=True)
        if images.shape[-1] != self.side:
            images = F.interpolate(images, size=(self.side, self.side), mode="bilinear", antialias=True, align_corners=False)
        images = images.expand(-1, self.channels, -1, -1)
        return (images - torch.tensor(self.mean).view(-1, 1, 1)) / torch.tensor(self.std).view(-1, 1, 1)


@dataclass(frozen=True)
class Network:
    """An opened network.

    Attributes:
        intake: What it wants to see.
        run: From prepared images to its output: vectors, tokens (the first is taken), or maps (averaged over places).
        sha256: Of its content.
    """

    intake: Intake
    run: Callable[[Float[Tensor, "n k s s"]], Tensor]
    sha256: str


@dataclass(frozen=True)
class OutsideEncoder:
    """A frozen network from outside; never trained here.

    Attributes:
        name: Of a model of `transformers` or its folder, after "hf:", or of the ONNX file, after "onnx:".
        labels: What labels it has seen, as the user said.
        network: The network.
        content: An ONNX file's bytes, which every run carries; None for a model of `transformers`, which is opened by its name again.
    """

    name: str
    labels: str
    network: Network
    content: Tensor | None = None
    kind: ClassVar[str] = "outside"

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n dim"]:
        """Embed images with values in `[0, 1]`, a few at a time."""
        vectors = torch.cat([_vectors(self.network.run(self.network.intake(part))) for part in torch.split(images, AT_ONCE)])
        if not torch.isfinite(vectors).all():
            raise InputError(f"the encoder {self.name} gives NaN or infinite values; it may want other input, or be damaged")
        return vectors

    def state_dict(self) -> dict[str, Tensor]:
        """Return the ONNX file's bytes, if it is one."""
        return {} if self.content is None else {"onnx": self.content}

    def describe(self) -> dict[str, Any]:
        """Return name, labels seen, hash and intake, JSON-ready."""
        return {"name": self.name, "labels": self.labels, "sha256": self.network.sha256, "intake": asdict(self.network.intake)}

    def __reduce__(self) -> tuple[Any, ...]:
        return OutsideEncoder.restore, (self.describe(), self.state_dict())  # in another process the network is opened anew

    @classmethod
    def open(cls, name: str, labels: str = NOT_STATED) -> "OutsideEncoder":
        """Open a network by what `--embedding` was given: "hf:NAME", "hf:FOLDER", "onnx:FILE", or the path of an `.onnx`.

        Raises:
            InputError: The extra is not installed, there is no such model or file, or it takes no images.
        """
        if name.startswith(HF):
            from umeta.images.embed.hf import open_hf

            model = name.removeprefix(HF)
            model = str(Path(model).expanduser().resolve()) if Path(model).expanduser().exists() else model
            return cls(HF + model, labels, open_hf(model))
        from umeta.images.embed.onnx import open_onnx

        path = Path(name.removeprefix(ONNX)).expanduser()
        if not path.is_file():
            raise InputError(f"there is no ONNX file {path}")
        content = torch.from_numpy(np.fromfile(path, np.uint8))
        return cls(ONNX + path.name, labels, open_onnx(content, str(path)), content)

    @classmethod
    def restore(cls, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "OutsideEncoder":
        """Open the network of an artifact again.

        Raises:
            ArtifactError: What has the name now is another network.
        """
        if "onnx" in tensors:
            from umeta.images.embed.onnx import open_onnx

            return cls(info["name"], info["labels"], open_onnx(tensors["onnx"], info["name"]), tensors["onnx"])
        again = cls.open(info["name"], info["labels"])
        if again.network.sha256 != info["sha256"]:
            raise ArtifactError(
                f"the encoder {info['name']} has changed since this run was made (SHA-256 {again.network.sha256[:12]}, then "
                f"{info['sha256'][:12]}); bring back the one it was made with"
            )
        return again


def is_outside(embedding: str) -> bool:
    """Return whether an embedding's name is that of a network from outside."""
    return embedding.startswith((HF, ONNX)) or embedding.endswith(".onnx")


def _vectors(output: Tensor) -> Float[Tensor, "n dim"]:
    if output.ndim == 4:
        return output.float().mean((2, 3))
    return output[:, 0].float() if output.ndim == 3 else output.float()
