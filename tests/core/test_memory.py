"""Repeated work on large tensors comes to reuse its memory: counted in first touches of pages, in a process of their own."""

import platform
import subprocess
import sys

import pytest

TOUCHES = """
import resource, sys
from umeta.core.memory import keep_large_blocks
import torch
told = keep_large_blocks() if sys.argv[1] == "keep" else None
touches = []
for step in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    weight = torch.ones(64, 200_000, requires_grad=True)
    (weight.sin().relu() * 2).sum().backward()
    del weight
    touches.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
sys.stdout.write(f"{told} {sum(touches[6:])}")
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told")
@pytest.mark.parametrize("how", ["keep", "leave"])
def test_large_tensors_reuse_memory_only_when_the_c_library_was_told(how):
    told, touches = subprocess.run([sys.executable, "-c", TOUCHES, how], capture_output=True, text=True, check=True).stdout.split()
    # Eight tensors of 51 MB a step are 100,000 pages of 4 KiB; where memory is kept, only what does not fit into a hole is touched anew.
    if how == "keep":
        assert told == "True"
        assert int(touches) < 100_000
    else:
        assert int(touches) > 500_000
