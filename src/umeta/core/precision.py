"""Knows on which processors half precision is faster, and turns it on there."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import torch

_FULL: ContextVar[bool] = ContextVar("full_precision", default=False)


@cache
def half_precision_pays(device_type: str) -> bool:
    """Return whether the device multiplies bfloat16 matrices by instructions of its own; emulation is slower than float32."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return device_type == "cpu" and any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def mixed_precision(device: torch.device) -> torch.autocast:
    """Compute convolutions and matrix products inside this context in bfloat16 where that is faster, with float32 weights and sums.

    Losses and distances belong outside of it, on `.float()` of what comes out.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=not _FULL.get() and half_precision_pays(device.type))


def is_full() -> bool:
    """Return whether this context asks for full precision."""
    return _FULL.get()


@contextmanager
def full_precision(asked: bool = True) -> Iterator[None]:
    """Where it is asked, let `mixed_precision` change nothing inside this context.

    Sums of gradients that are rounded to 8 bits depend on how a batch was divided; in float32 they agree to 1e-7.
    """
    before = _FULL.set(asked)
    try:
        yield
    finally:
        _FULL.reset(before)
