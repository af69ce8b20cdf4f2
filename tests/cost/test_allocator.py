"""Memory that was freed is there again without the system clearing it: counted in page faults, not in time."""

import subprocess
import sys

import pytest

from bench.cost.allocator import keep_freed_memory

ROUND = """
import resource, sys
from bench.cost.allocator import keep_freed_memory

def blocks():
    return [bytearray(b"x") * 2**24 for _ in range(8)]  # 16 MB each, all written

if "keep" in sys.argv:
    assert keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*words: str) -> int:
    done = subprocess.run([sys.executable, "-c", ROUND, *words], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other C libraries")
def test_freed_blocks_are_used_again() -> None:
    # 128 MB are 32768 pages of 4 KB, or 64 of 2 MB
    assert faults("keep") < 10
    assert faults() > 50


def test_a_library_without_the_switch_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert keep_freed_memory() is False
