"""Knows how to keep the C library from returning large blocks to the system, and zeroing them anew, at every step of a training."""

import ctypes
import os

# Names and numbers of malloc.h of the GNU C library.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1


def keep_large_blocks() -> bool:
    """Let the process reuse the memory of large tensors; returns whether the C library could be told.

    By default each tensor of over 32 MiB is mapped anew and handed back when it is freed, and a training step spends up to a third of its
    time on the first touch of pages. From here on freed memory stays with the process, which holds its peak until it ends.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, LARGEST))
