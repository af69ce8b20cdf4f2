"""`bench data prepare`: a dataset's archives, from the network or from a local folder, unpacked below its root.

What has been unpacked is written down in root/.prepared.json, so that the command can be killed and repeated.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from data_modules.errors import DataError
from data_modules.prepare.download import download, file_sha256
from data_modules.prepare.unpack import unpack

RECORD = ".prepared.json"
log = logging.getLogger(__name__)


def prepare(
    root: str | Path | None,
    archives: Mapping[str, Mapping[str, Any]],
    local: str | Path | Sequence[str | Path] | None = None,
    downloads: str | Path | None = None,
    keep_archives: bool = False,
) -> list[dict[str, Any]]:
    """Fetch and unpack what is missing.

    Args:
        root: where the dataset goes.
        archives: name -> `url`, `sha256`, `provides` (the folder that tells that somebody put its content there by
            other means; it is left alone) and, where given, `into` (a folder below root) and `keep` (first folders
            wanted). A `sha256` of None takes a local archive unchecked; without one nothing is downloaded.
        local: a folder with the archives, or their paths, recognised by the file name of `url`.
        downloads: where archives are downloaded to; None: root/.downloads.
        keep_archives: leave what was downloaded after unpacking.

    Returns:
        For each archive its name, its source and, where it was unpacked now, the number of files.

    Raises:
        DataError: a download that fails, an archive that is not the expected one or not safe.
    """
    if root is None:
        raise DataError("expected a folder for the dataset, found data.root=null; set data.root=DIR")
    root = Path(root).expanduser()
    folder = Path(downloads).expanduser() if downloads else root / ".downloads"
    given = None if local is None else _local(local)
    if all(_there(root, name, archive, _read_record(root)) for name, archive in archives.items()):
        return [{"archive": name, "source": "there already"} for name in archives]
    root.mkdir(parents=True, exist_ok=True)
    done: list[dict[str, Any]] = []
    with FileLock(root / ".prepare.lock"):
        record = _read_record(root)
        for name, archive in archives.items():
            if _there(root, name, archive, record):
                done.append({"archive": name, "source": "there already"})
                continue
            file_name, sha256 = str(archive["url"]).rsplit("/", 1)[-1], archive.get("sha256")
            if given is not None:
                path = _given(given, file_name, sha256)
            else:
                path = _downloaded(folder / file_name, archive["url"], sha256)
            _write_record(root, record | {name: None})  # begun
            files = unpack(path, root / str(archive.get("into") or "."), tuple(archive.get("keep") or ()))
            record[name] = sha256 or file_sha256(path)
            _write_record(root, record)
            if given is None and not keep_archives:
                path.unlink()
            done.append({"archive": name, "source": str(path if given is not None else archive["url"]), "files": files})
    return done


def _there(root: Path, name: str, archive: Mapping[str, Any], record: Mapping[str, str | None]) -> bool:
    """Unpacked before by this command, or put there by other means."""
    if name in record:
        return record[name] is not None and archive.get("sha256") in (None, record[name])
    provides = archive.get("provides")
    return provides is not None and (root / str(provides)).exists()


def _local(local: str | Path | Sequence[str | Path]) -> dict[str, Path]:
    """File name -> path."""
    listed = [local] if isinstance(local, str | Path) else list(local)
    paths: list[Path] = []
    for path in (Path(entry).expanduser() for entry in listed):
        if not path.exists():
            raise DataError(f"expected archives at {path}, found nothing there")
        paths += sorted(path.iterdir()) if path.is_dir() else [path]
    return {path.name: path for path in paths if path.is_file()}


def _given(given: Mapping[str, Path], file_name: str, sha256: str | None) -> Path:
    if file_name not in given:
        raise DataError(f"expected the archive {file_name} among the local ones, found {', '.join(given) or 'none'}")
    path = given[file_name]
    if sha256 is None:
        log.warning("%s: no SHA-256 to compare with, unpacked as it is", path)
    elif (found := file_sha256(path)) != sha256:
        raise DataError(
            f"{path}: expected SHA-256 {sha256}, found {found}; fetch it again, or unpack it all the same with "
            "data.prepare.archives.NAME.sha256=null"
        )
    return path


def _downloaded(path: Path, url: str, sha256: str | None) -> Path:
    if sha256 is None:
        raise DataError(
            f"expected a SHA-256 for {url}, found null; set data.prepare.archives.NAME.sha256, or archives=FOLDER"
        )
    download(url, path, sha256)
    return path


def _read_record(root: Path) -> dict[str, str | None]:
    """Archive -> its SHA-256, or None where unpacking has begun and not ended."""
    path = root / RECORD
    if not path.is_file():
        return {}
    try:
        record: dict[str, str | None] = json.loads(path.read_text(encoding="utf-8"))
        return dict(record)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: expected what was unpacked, found {error!r}; delete the file and repeat") from error


def _write_record(root: Path, record: Mapping[str, str | None]) -> None:
    part = root / (RECORD + ".part")
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    part.replace(root / RECORD)
