"""Unpacking zip and tar archives that come from elsewhere: nothing is written outside the folder.

Absolute paths, `..`, drive letters, links and special files are refused before the first file is written.
"""

import logging
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from rich.console import Console
from rich.progress import Progress

from data_modules.errors import DataError

_CHUNK = 1 << 20
_Member = TypeVar("_Member")
log = logging.getLogger(__name__)


def unpack(archive: Path, root: Path, keep: tuple[str, ...] = ()) -> int:
    """Write the files of `archive` below `root` and return how many; `keep` names the first folders wanted (all).

    Files of a zip that are there as they should be (size and CRC) are left alone; all others are written anew.

    Raises:
        DataError: no zip or tar, a damaged one, or one with a path or a link that leaves `root`.
    """
    try:
        if zipfile.is_zipfile(archive):
            return _unpack_zip(archive, root, keep)
        if tarfile.is_tarfile(archive):
            return _unpack_tar(archive, root, keep)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{archive}: expected a whole archive, found {error!r}; fetch it again") from error
    raise DataError(f"{archive}: expected a zip or tar archive, found neither; fetch it again")


def _unpack_zip(archive: Path, root: Path, keep: tuple[str, ...]) -> int:
    with zipfile.ZipFile(archive) as content:
        members = []
        for info in content.infolist():
            mode = info.external_attr >> 16
            if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0):
                raise _refused(archive, info.filename, "a link or a special file")
            path = _inside(archive, info.filename, root)
            if not info.is_dir() and _wanted(path, root, keep):
                members.append((info, path))
        for info, path in _shown(members, archive):
            if not _same(path, info):
                with content.open(info) as source:
                    _write(source, path, root)
        return len(members)


def _unpack_tar(archive: Path, root: Path, keep: tuple[str, ...]) -> int:
    with tarfile.open(archive) as content:
        members = []
        for info in content.getmembers():
            if not (info.isfile() or info.isdir()):
                raise _refused(archive, info.name, "a link or a special file")
            path = _inside(archive, info.name, root)
            if info.isfile() and _wanted(path, root, keep):
                members.append((info, path))
        for info, path in _shown(members, archive):
            source = content.extractfile(info)
            if source is not None:
                _write(source, path, root)
        return len(members)


def _same(path: Path, info: zipfile.ZipInfo) -> bool:
    if not path.is_file() or path.is_symlink() or path.stat().st_size != info.file_size:
        return False
    return zlib.crc32(path.read_bytes()) == info.CRC


def _inside(archive: Path, name: str, root: Path) -> Path:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name or "\0" in name:
        raise _refused(archive, name, "a path that leaves the folder")
    return root.joinpath(*parts.parts)


def _wanted(path: Path, root: Path, keep: tuple[str, ...]) -> bool:
    first = path.relative_to(root).parts[:1]
    return bool(first) and first[0] not in ("__MACOSX",) and (not keep or first[0] in keep)


def _refused(archive: Path, name: str, what: str) -> DataError:
    return DataError(f"{archive}: expected files below its own folder, found {what}: {name!r}; nothing was unpacked")


def _write(source: IO[bytes], path: Path, root: Path) -> None:
    """Through a name of its own, so that no half-written file looks whole; never through a link set earlier."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{path}: expected a folder below {root}, found a link that leaves it; remove the link")
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with part.open("xb") as file:
        while chunk := source.read(_CHUNK):
            file.write(chunk)
    part.replace(path)


def _shown(members: list[_Member], archive: Path) -> Iterator[_Member]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(members, description=f"unpacking {archive.name}")
