"""Knows how tensors and their description go to disk whole or not at all, and come back unaltered or not at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from umeta.core.errors import ArtifactError, InputError, UmetaError

FORMAT = 1
DESCRIPTION = "artifact.json"
WEIGHTS = "tensors.safetensors"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits, reading a megabyte at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step, so that a reader or a power cut never sees half of it."""
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UmetaError(f"could not write {path}: {error.strerror or error}; free some space or choose another folder") from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; raises `ArtifactError` naming the file if it is missing or not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is not readable JSON ({error})") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} does not hold a JSON object")
    return content


def write_artifact(folder: Path, kind: str, tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> None:
    """Write an artifact: a folder with `tensors.safetensors` and `artifact.json`, complete before it has its name.

    Args:
        folder: Where it goes; an artifact already there is replaced.
        kind: What it is, such as "procedure"; `read_artifact` must be asked for the same.
        tensors: Any names, shapes and dtypes.
        info: JSON-ready description.

    Raises:
        UmetaError: The disk is full or the folder cannot be written; nothing partial is left under the final name.
    """
    temporary = folder.with_name(f"{folder.name}.tmp-{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        weights = temporary / WEIGHTS
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, weights)
        with weights.open("rb") as file:
            os.fsync(file.fileno())
        write_json(
            temporary / DESCRIPTION,
            {"format": FORMAT, "kind": kind, "sha256": sha256(weights), "info": dict(info), "info_sha256": _digest(info)},
        )
        retired = folder.with_name(f"{folder.name}.old-{os.getpid()}")
        if folder.exists():
            folder.replace(retired)
        try:
            temporary.replace(folder)
        except OSError:
            if retired.exists():
                retired.replace(folder)
            raise
        shutil.rmtree(retired, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UmetaError(f"could not write {folder}: {error}; free some space or choose another folder") from error


def check_place(folder: Path, kind: str, *, overwrite: bool) -> None:
    """Refuse to write an artifact where something would be lost by it.

    Args:
        folder: Where it is to go.
        kind: What it is.
        overwrite: Whether an artifact of the same kind may be replaced; anything else never is.

    Raises:
        InputError: Something is there that is not to be replaced.
    """
    if not folder.exists():
        return
    replaceable = (folder / DESCRIPTION).is_file() and read_json(folder / DESCRIPTION).get("kind") == kind
    if not replaceable:
        raise InputError(f"{folder} exists; it is no {kind}, so it is left alone; choose another folder")
    if not overwrite:
        raise InputError(f"{folder} exists; replace it with overwrite=True (--overwrite), or choose another folder")


def read_artifact(folder: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the description of an artifact after checking its hash.

    Raises:
        ArtifactError: It is missing, of another kind or of a newer format, or its bytes are not those that were written.
    """
    content = read_json(folder / DESCRIPTION)
    if content.get("kind") != kind:
        raise ArtifactError(f"{folder} is a {content.get('kind')!r} artifact, not a {kind!r} one")
    if content.get("format") != FORMAT:
        raise ArtifactError(f"{folder} has format {content.get('format')}; this version of umeta reads format {FORMAT}")
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise ArtifactError(f"{weights} is missing")
    if sha256(weights) != content.get("sha256"):
        raise ArtifactError(f"{weights} is truncated or was altered: its SHA-256 is not the one in {DESCRIPTION}")
    if content.get("info_sha256", _digest(content.get("info"))) != _digest(content.get("info")):
        raise ArtifactError(f"{folder / DESCRIPTION} was altered: the SHA-256 of its info is not the one it states")
    try:
        return load_file(weights), content["info"]
    except (SafetensorError, OSError, KeyError) as error:
        raise ArtifactError(f"{folder} cannot be read: {error}") from error


def _digest(info: Any) -> str:
    return hashlib.sha256(json.dumps(info, sort_keys=True).encode()).hexdigest()
