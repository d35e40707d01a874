"""Knows on which processors half precision is faster, and turns it on there."""

from functools import cache

import torch


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
    return torch.autocast(device.type, torch.bfloat16, enabled=half_precision_pays(device.type))
