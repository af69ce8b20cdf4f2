"""Memory that is freed and soon wanted again: kept, or fetched from the system anew for every forward pass.

glibc gives large blocks back to the system as soon as they are free. A detector frees and wants dozens of feature maps
of some megabytes in every forward pass, and the system clears each page again on its first use: a third to a half of
the time of a small detector on a CPU. onnxruntime keeps its memory, and so does PyTorch on a GPU.
"""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
GIGABYTE = 1 << 30
LARGEST_ONCE = 32 << 20  # older glibc refuses a higher threshold of mmap


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, up to a gigabyte at a time; whether its C library can (glibc can).

    The process then stays as large as it ever was. To be called early: blocks that exist are not affected.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    mapped = mallopt(M_MMAP_THRESHOLD, GIGABYTE) or mallopt(M_MMAP_THRESHOLD, LARGEST_ONCE)
    return bool(mallopt(M_TRIM_THRESHOLD, GIGABYTE) and mapped)
