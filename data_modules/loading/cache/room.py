"""How much of a cache folder is used, agreed between all processes that write into it.

The count is a file of the folder, changed under a lock. Who claims room creates its temporary file at full size, and
gives it its name, under that same lock, so a count of the files (each process makes one before its first claim) misses
nothing in flight and the limit holds strictly. What is counted twice (two writers of one image) or in vain (a killed
writer) errs on the safe side until the next count.
"""

import os
import time
import uuid
from pathlib import Path

from filelock import FileLock

_TEMPORARY = ".tmp"
_ABANDONED = 3600.0  # seconds after which a temporary file is that of a killed writer


class Room:
    """The room of `folder`, of which `max_bytes` may be used."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._counted_by: int | None = None  # the process that has counted; a forked worker counts for itself

    def claim(self, size: int) -> Path | None:
        """A new temporary file of `size` bytes, to be filled; None where the limit leaves no room for it."""
        with self._lock():
            used = self._used() + size
            if used > self.max_bytes:
                return None
            path = self.folder / f"{uuid.uuid4().hex}{_TEMPORARY}"
            with path.open("xb") as file:
                file.truncate(size)
            self._write(used)
            return path

    def keep(self, claimed: Path, name: str) -> None:
        """Give a filled claim its name, at once and whole; an entry of that name is replaced."""
        with self._lock():
            claimed.replace(self.folder / name)

    def release(self, claimed: Path, size: int) -> None:
        """Give back a claim that came to nothing."""
        with self._lock():
            claimed.unlink(missing_ok=True)
            self._write(max(0, self._used() - size))

    def _lock(self) -> FileLock:
        return FileLock(self.folder / "lock")

    @property
    def _count_file(self) -> Path:
        return self.folder / "used"

    def _used(self) -> int:
        if self._counted_by == os.getpid():
            written = self._count_file.read_bytes() if self._count_file.is_file() else b""
            if written.isdigit():
                return int(written)
        self._counted_by = os.getpid()
        return self._count()

    def _count(self) -> int:
        """The bytes of all entries and claims; removes what killed writers left behind."""
        used, now = 0, time.time()
        for path in self.folder.iterdir():
            if path in (self._count_file, self.folder / "lock"):
                continue
            try:
                found = path.stat()
            except FileNotFoundError:  # a damaged entry that a reader has removed in this moment
                continue
            if path.suffix == _TEMPORARY and now - found.st_mtime > _ABANDONED:
                path.unlink()
            else:
                used += found.st_size
        return used

    def _write(self, used: int) -> None:
        with self._count_file.open("r+b" if self._count_file.is_file() else "w+b", buffering=0) as file:
            file.write(b"%020d" % used)  # one write of one length: a kill leaves the old number or the new one
