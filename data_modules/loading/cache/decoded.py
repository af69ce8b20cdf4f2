"""Decode once what many epochs read: a folder of decoded images, mapped into memory, shared between processes.

An image is found by what its file contains: the key is a hash (BLAKE2b, 128 bits) of the file's bytes and of the
decoder's name and version. Hashing costs a tenth of a millisecond where decoding costs five. Within a process a hash is
remembered under the file's inode, size, mtime and ctime, so that later epochs only ask for those; ctime is the one that
no program can set back. A file changed so lately that a second change could leave the same times (git calls it racily
clean) is hashed again.

An entry is written under a temporary name and renamed, so a killed writer leaves no entry at all, and of two writers of
one image either may win. When the limit is reached, images that are not kept are decoded every time; nothing is thrown
out, for an epoch that reads more than fits would throw out each image just before it is read again. Entries of images
that are gone or changed stay until the folder is deleted, which is safe at any time between runs.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.errors import DataError
from data_modules.loading.cache.entry import BadEntryError, entry_size, open_entry, write_entry
from data_modules.loading.cache.room import Room
from data_modules.loading.images import DECODER, read_content

Decode = Callable[[bytes, Path], NDArray[np.uint8]]  # content of a file, and its path for messages -> [H, W, 3]
_Times = tuple[int, int, int, int, int]
_SETTLED = 2_000_000_000  # nanoseconds: coarser than the clock of any file system in use
log = logging.getLogger(__name__)


class DecodedCache:
    """Decoded images in `folder` (made where it is missing), at most `max_bytes` of them.

    It may be pickled or forked into workers. Folders may be shared between datasets, runs and processes.

    Raises:
        DataError: `folder` cannot be made or `max_bytes` is negative.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        if max_bytes < 0:
            raise DataError(f"expected a size of 0 or more for the cache of decoded images, found {max_bytes} bytes")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"expected to make the folder {folder} for decoded images, found {error}") from error
        self.folder = folder
        self.room = Room(folder, max_bytes)
        self._keys: dict[Path, tuple[_Times, bytes]] = {}
        self._verified: set[bytes] = set()
        self._writing = True

    def get(self, path: Path, decode: Decode) -> NDArray[np.uint8]:
        """The image at `path`, uint8 [H, W, 3], read-only: mapped where it is kept, else decoded, and kept if it fits.

        Raises:
            DataError: the file is missing; and whatever `decode` raises.
        """
        key, content = self._remembered(path), None
        if key is None:
            key, content = self._read(path)
        pixels = self._open(key)
        if pixels is not None:
            return pixels
        if content is None:  # remembered, but its entry is gone: hash again what is decoded now
            key, content = self._read(path)
        pixels = np.ascontiguousarray(decode(content, path))
        if self._writing:
            self._store(key, pixels)
        pixels.flags.writeable = False
        return pixels

    def _remembered(self, path: Path) -> bytes | None:
        times, key = self._keys.get(path, (None, None))
        return key if times is not None and times == _times(path) else None

    def _read(self, path: Path) -> tuple[bytes, bytes]:
        """Key and content; the times are taken first, so that a change while reading shows as a change."""
        times, now = _times(path), time.time_ns()
        content = read_content(path)
        key = hashlib.blake2b(content, digest_size=16, key=DECODER.encode()).digest()
        if times is not None and now - times[-1] > _SETTLED:
            self._keys[path] = (times, key)
        return key, content

    def _open(self, key: bytes) -> NDArray[np.uint8] | None:
        path = self.folder / key.hex()
        try:
            pixels = open_entry(path, key, verify=key not in self._verified)
        except FileNotFoundError:
            return None
        except BadEntryError as error:
            log.warning("%s: %s; decoding the image again", path, error)
            path.unlink(missing_ok=True)
            return None
        self._verified.add(key)
        return pixels

    def _store(self, key: bytes, pixels: NDArray[np.uint8]) -> None:
        size = entry_size(pixels)
        try:
            claimed = self.room.claim(size)
            if claimed is None:
                self._stop(f"the limit of {self.room.max_bytes / 2**30:.2f} GiB is reached")
                return
            try:
                with claimed.open("r+b") as file:
                    write_entry(file, key, pixels)
                self.room.keep(claimed, key.hex())
            except BaseException:
                self.room.release(claimed, size)
                raise
        except OSError as error:  # a full disk, a folder that may only be read
            self._stop(str(error))

    def _stop(self, reason: str) -> None:
        """Said once a process: slower from here on, but as right as before."""
        self._writing = False
        log.warning("decoded images in %s: %s; those not kept are decoded in every epoch", self.folder, reason)


def _times(path: Path) -> _Times | None:
    """What changes when a file does; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - half the time of Path.stat, once for every image of every epoch
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
