"""One decoded image on disk: a header of 64 bytes, then the pixels as they lie in memory, ready to be mapped.

The header holds the shape, the key the entry was written under and a sum over the pixels. Name, size and header are
checked at every opening, the sum by whoever opens an entry for the first time: a machine that lost its power can leave
a file of the right size with holes in it, which no rename guards against.
"""

import mmap
import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_HEADER = struct.Struct("<8s16sIIQ24x")  # magic, key, height, width, sum of the pixels
_MAGIC = b"benchRGB"


class BadEntryError(Exception):
    """A file in the cache that is not the entry its name promises."""


def entry_size(pixels: NDArray[np.uint8]) -> int:
    """Bytes that the entry of `pixels` [H, W, 3] takes."""
    return _HEADER.size + pixels.nbytes


def write_entry(file: BinaryIO, key: bytes, pixels: NDArray[np.uint8]) -> None:
    """`pixels` uint8 [H, W, 3], contiguous."""
    height, width, _ = pixels.shape
    file.write(_HEADER.pack(_MAGIC, key, height, width, _sum(pixels)))
    file.write(pixels.data)


def open_entry(path: Path, key: bytes, verify: bool) -> NDArray[np.uint8]:
    """uint8 [H, W, 3], read-only, mapped; the map (and the one file descriptor it holds) goes with the last view.

    Args:
        verify: compare the sum of the pixels too, which reads all of them.

    Raises:
        FileNotFoundError: there is no entry.
        BadEntryError: the file is truncated, damaged or not ours.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size < _HEADER.size:
            raise BadEntryError(f"expected at least {_HEADER.size} bytes, found {size}")
        content = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    magic, found, height, width, total = _HEADER.unpack_from(content)
    if magic != _MAGIC or found != key:
        raise BadEntryError(f"expected the header of {key.hex()}, found another")
    if size != _HEADER.size + height * width * 3:
        raise BadEntryError(f"expected {height} x {width} x 3 bytes after the header, found {size - _HEADER.size}")
    pixels = np.frombuffer(content, np.uint8, offset=_HEADER.size).reshape(height, width, 3)
    if verify and _sum(pixels) != total:
        raise BadEntryError("expected pixels that add up to the sum in the header, found others")
    return pixels


def _sum(pixels: NDArray[np.uint8]) -> int:
    """The 64-bit words added up modulo 2^64: as fast as memory, and blocks of zeros or of other data change it."""
    flat = pixels.reshape(-1)
    whole = flat.size // 8 * 8
    words = int(flat[:whole].view("<u8").sum(dtype=np.uint64))
    return (words + int.from_bytes(flat[whole:].tobytes(), "little")) % 2**64
