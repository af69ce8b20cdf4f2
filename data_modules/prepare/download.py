"""One file from a URL: resumed where a connection broke, checked by its SHA-256, under its name only when whole."""

import hashlib
import http.client
import logging
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TimeRemainingColumn, TransferSpeedColumn

from data_modules.errors import DataError

CHUNK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
_NOT_SATISFIABLE = 416
_BROKEN = (urllib.error.URLError, http.client.HTTPException, OSError)
log = logging.getLogger(__name__)


def bars(disable: bool) -> Progress:
    """Progress of downloads, on standard error; standard output belongs to the verb."""
    from rich.console import Console

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=disable)


def download(url: str, path: Path, sha256: str, attempts: int = 5, pause: float = 1.0) -> None:
    """Fetch `url` to `path`; nothing is done where a file of this SHA-256 is there already.

    What arrived stays in `path` + `.part`, and the next attempt, or the next command, asks the server for the rest. A
    server that cannot resume sends the whole again. An attempt that brought bytes does not count against `attempts`.

    Raises:
        DataError: the server refuses or stays silent, or the file is not the one that was expected.
    """
    if path.is_file() and file_sha256(path) == sha256:
        log.info("%s is there", path)
        return
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    with bars(disable=not _terminal()) as progress:
        task = progress.add_task(path.name, total=None)
        while True:
            before = part.stat().st_size if part.is_file() else 0
            try:
                _fetch(url, part, before, progress, task)
                break
            except _BROKEN as error:
                if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                    raise DataError(
                        f"{url}: expected a file, the server answered {error.code} {error.reason}"
                    ) from error
                brought = (part.stat().st_size if part.is_file() else 0) > before
                failures = 0 if brought else failures + 1
                if failures >= attempts:
                    raise DataError(
                        f"{url}: expected a file, the connection failed ({error}); run the command again"
                    ) from error
                log.warning("%s: the connection broke (%s), going on", url, error)
                time.sleep(pause * 2**failures if failures else pause)
    found = file_sha256(part)
    if found != sha256:
        part.unlink()
        raise DataError(f"{url}: expected a file of SHA-256 {sha256}, found {found}; it is deleted. Is the URL right?")
    part.replace(path)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, part: Path, have: int, progress: Progress, task: TaskID) -> None:
    """The bytes from `have` on, appended to `part`."""
    headers = {"User-Agent": "bench"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == _NOT_SATISFIABLE and have:  # all of it is here; the digest will tell
            return
        raise
    with answer:
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT and _starts_at(answer, have)
        start = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        progress.update(task, completed=start, total=total)
        with part.open("ab" if resumed else "wb") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                progress.advance(task, len(chunk))
    got = part.stat().st_size
    if total is not None and got < total:  # http.client takes a closed connection for the end
        raise ConnectionError(f"{got} of {total} bytes arrived")


def _starts_at(answer: http.client.HTTPResponse, have: int) -> bool:
    return (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")


def _terminal() -> bool:
    return sys.stderr.isatty()
