"""Knows how a vision model of the `transformers` library is opened: weights from safetensors only, no code of others."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from umeta.core.errors import InputError
from umeta.images.embed.outside import IMAGENET_MEAN, IMAGENET_STD, USUAL_SIDE, Intake, Network


def open_hf(name: str) -> Network:
    """Open a model by its name, which downloads it where it is not there yet, or by its folder.

    Of models that see and read, only the part that sees is taken.

    Raises:
        InputError: `transformers` is not installed, there is no such model, or it takes no images.
    """
    try:
        import transformers
        from transformers.image_processing_base import ImageProcessingMixin
    except ImportError as error:
        raise InputError(f"--embedding hf:{name} needs the transformers library: pip install 'umeta[hf]'") from error
    try:
        model = transformers.AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"hf:{name} cannot be opened ({reason}); give a model's name or its folder, with safetensors") from error
    try:
        wanted, _ = ImageProcessingMixin.get_image_processor_dict(name)
    except OSError:
        wanted = {}
    net = getattr(model, "vision_model", model).eval().requires_grad_(False)
    if net.main_input_name != "pixel_values":
        raise InputError(f"hf:{name} takes {net.main_input_name}, not images; give a vision model")

    def run(images: Float[Tensor, "n k s s"]) -> Tensor:
        out = net(pixel_values=images)
        pooled = getattr(out, "pooler_output", None)
        result: Tensor = out.last_hidden_state if pooled is None else pooled
        return result

    return Network(_intake(wanted, net.config), run, _sha256(net))


def _intake(wanted: Mapping[str, Any], config: Any) -> Intake:
    """Return what the image processor says, else what the model's configuration says, else what is usual."""
    channels = int(getattr(config, "num_channels", 3))
    side = _side(wanted.get("crop_size")) or _side(wanted.get("size")) or _side(getattr(config, "image_size", None)) or USUAL_SIDE
    if not wanted.get("do_normalize", True):
        return Intake(channels, side, (0.0,) * channels, (1.0,) * channels)
    mean, std = wanted.get("image_mean") or IMAGENET_MEAN, wanted.get("image_std") or IMAGENET_STD
    return Intake(channels, side, tuple(mean)[:channels], tuple(std)[:channels])


def _side(size: Any) -> int | None:
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    if isinstance(size, list | tuple):
        size = size[0]
    return None if size is None else int(size)


def _sha256(net: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(json.dumps([name, list(value.shape), str(value.dtype)]).encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
