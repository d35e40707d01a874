"""Knows how every random number follows from `(seed, name, index)` and from nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Rng:
    """A named place in a tree of random streams.

    Forking is a pure function, so a resumed run, another worker count or another world size draws the same numbers. Nothing in umeta
    touches a global generator.

    Attributes:
        key: 16 bytes that name this stream.

    Example:
        >>> Rng.from_seed(0).fork("task", 3) == Rng.from_seed(0).fork("task", 3)
        True
    """

    key: bytes

    @classmethod
    def from_seed(cls, seed: int) -> Rng:
        """Return the root stream of a seed; any integer is allowed."""
        return cls(hashlib.blake2b(f"umeta:{seed}".encode(), digest_size=16).digest())

    def fork(self, name: str, index: int = 0) -> Rng:
        """Return the child stream `name[index]`; different names or indices give independent streams."""
        return Rng(hashlib.blake2b(f"{name}:{index}".encode(), key=self.key, digest_size=16).digest())

    def integer(self, bound: int = 2**63 - 1) -> int:
        """Return one integer in `[0, bound)`; always the same for this stream."""
        return int.from_bytes(self.key, "little") % bound

    def numpy(self) -> np.random.Generator:
        """Return a fresh NumPy generator at the start of this stream."""
        return np.random.Generator(np.random.Philox(key=int.from_bytes(self.key, "little")))

    def torch(self, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a fresh torch generator at the start of this stream, on `device`."""
        return torch.Generator(device=device).manual_seed(self.integer())
