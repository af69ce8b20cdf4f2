"""What a training or an evaluation really read, as short hashes: another file under the same name is another dataset.

`annotation_hash` covers everything that an annotation says, `image_hash` which images there are, by name and size in
bytes. Annotations are remembered under the names, sizes and times of their files, so that a start does not read a large
file only to find that it has not changed. Of the times, mtime may be set by a program (`cp -p`, `tar`), ctime may not.
"""

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from data_modules.loading.files import AnnotatedImage


FORMAT = 1  # of what is remembered and how it is hashed
_SETTLED = 2_000_000_000  # nanoseconds: a file changed since then may change again within the resolution of its time
_remembered: dict[str, dict[str, Any]] = {}


def annotation_hash(images: Iterable["AnnotatedImage"], class_names: Sequence[str]) -> str:
    """16 hexadecimal digits that change when a class, an image, a box, a label, an ignore flag or a landmark does.

    The order of the images is free.
    """
    digest = hashlib.sha256("\n".join(class_names).encode())
    for image in sorted(images, key=lambda image: image.path):
        digest.update(f"\n{image.path} {len(image.boxes)}\n".encode())
        digest.update(image.boxes.astype("<f4").tobytes())
        digest.update(image.labels.astype("<i8").tobytes())
        digest.update(image.ignore.astype(np.uint8).tobytes())
        digest.update(image.keypoints.astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def image_hash(folder: Path, paths: Iterable[str]) -> str | None:
    """16 hexadecimal digits of the names and sizes of the images in `folder`; None where there is no such folder.

    A single image that is missing counts with the size -1: it is reported by who opens it.
    """
    if not folder.is_dir():
        return None
    root = os.fspath(folder)
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path} {_size(os.path.join(root, path))}\n".encode())  # noqa: PTH118  (many thousands)
    return digest.hexdigest()[:16]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return -1


def remembered(
    files: Sequence[Path], settings: Mapping[str, Any], compute: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """What `compute` says of `files` under `settings`, from memory where they have not changed since.

    The memory is a folder `bench/fingerprints` of the user's cache (XDG_CACHE_HOME); without permission to write there
    is none. A file changed within the last two seconds is read again next time. The times are taken before the files
    are read, so that a change while reading shows as a change.
    """
    stamps, now = [_stamp(file) for file in files], time.time_ns()
    key = json.dumps([FORMAT, stamps, settings], sort_keys=True, default=str)
    if key in _remembered:
        return _remembered[key]
    path = _memory(key)
    found = _recall(path, key)
    if found is None:
        found = compute()
        newest = max((times for stamp in stamps for times in stamp[2:]), default=0)
        if now - newest <= _SETTLED:
            return found
        _store(path, key, found)
    _remembered[key] = found
    return found


def _stamp(file: Path) -> tuple[str, int, int, int]:
    """Name, size, mtime and ctime; the size of a file that is missing is -1."""
    name = os.fspath(file.absolute())
    try:
        stat = file.stat()
    except OSError:
        return name, -1, 0, 0
    return name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _memory(key: str) -> Path | None:
    """The file that remembers `key`; None for a user without a home."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        cache = given if given.is_absolute() else Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return cache / "bench" / "fingerprints" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _recall(path: Path | None, key: str) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        document = json.loads(path.read_text())
        return document["value"] if document["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or a broken one
        return None


def _store(path: Path | None, key: str, value: Mapping[str, Any]) -> None:
    """Written under another name and renamed: of two processes at once either may win."""
    if path is None:
        return
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"key": key, "value": value}))
        temporary.replace(path)
    except OSError:  # a memory that cannot be kept costs time, nothing else
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
