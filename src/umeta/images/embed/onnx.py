"""Knows how an ONNX file is run as an image encoder."""

import hashlib
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from umeta.core.errors import InputError
from umeta.images.embed.outside import IMAGENET_MEAN, IMAGENET_STD, USUAL_SIDE, Intake, Network

MEAN_KEY, STD_KEY = "image_mean", "image_std"


def open_onnx(content: UInt8[Tensor, " n_byte"], name: str) -> Network:
    """Open a network with one input [n, channels, side, side] of float32; its first output is taken.

    Values in `[0, 1]` are normalized by the numbers in the file's metadata `image_mean` and `image_std` ("0.5,0.5,0.5"), else in color by
    ImageNet's, else not at all. A side that the file leaves open is 224.

    Args:
        content: The file's bytes.
        name: For messages.

    Raises:
        InputError: `onnxruntime` is not installed, or the file is none that it can run on images.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"--embedding {name} needs the onnxruntime library: pip install 'umeta[onnx]'") from error
    data = content.numpy().tobytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class of their own
        raise InputError(f"{name} is no ONNX file that can be run ({str(error).splitlines()[0]})") from error
    node, *others = session.get_inputs()
    shape = node.shape
    if others or node.type != "tensor(float)" or len(shape) != 4 or shape[1] not in (1, 3) or (shape[2] != shape[3] and _fixed(shape[2])):
        told = ", ".join(f"{one.name} {one.type} {one.shape}" for one in session.get_inputs())
        raise InputError(f"{name} takes {told}; an encoder takes one float32 tensor [n, 1 or 3, side, side]")
    intake = _intake(shape[1], _fixed(shape[2]) or USUAL_SIDE, session.get_modelmeta().custom_metadata_map, name)
    most = _fixed(shape[0])

    def run(images: Float[Tensor, "n k s s"]) -> Tensor:
        parts = torch.split(images, most) if most else (images,)
        return torch.cat([torch.from_numpy(session.run(None, {node.name: part.contiguous().numpy()})[0]) for part in parts])

    return Network(intake, run, hashlib.sha256(data).hexdigest())


def _fixed(size: Any) -> int | None:
    """Return a size that a file lays down; None for one it leaves open."""
    return size if isinstance(size, int) and size > 0 else None


def _intake(channels: int, side: int, metadata: dict[str, str], name: str) -> Intake:
    usual = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.0,), (1.0,))
    try:
        mean, std = (
            tuple(float(part) for part in metadata[key].split(",")) if key in metadata else default
            for key, default in zip((MEAN_KEY, STD_KEY), usual, strict=True)
        )
    except ValueError as error:
        raise InputError(f"{name}: its metadata {MEAN_KEY} and {STD_KEY} must be numbers with commas between") from error
    if len(mean) != channels or len(std) != channels or 0 in std:
        raise InputError(f"{name}: its metadata {MEAN_KEY} and {STD_KEY} must have {channels} numbers, and no deviation of 0")
    return Intake(channels, side, mean, std)
