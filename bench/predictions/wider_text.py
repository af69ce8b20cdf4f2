"""Predictions in WIDER FACE's own text format: `<event>/<image>.txt`, in a folder or a zip file.

Line 1 is the image's name (nobody reads it, MATLAB's evaluation neither), line 2 the number of boxes, then one
`x y w h score` per line, in pixels of the original image.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from bench.errors import PredictionError


def read_wider_predictions(path: str | Path) -> dict[str, dict[str, Tensor]]:
    """Read every `<event>/<image>.txt` at any depth of a folder or a zip file.

    Returns:
        image id ("<event>/<image>") -> `boxes` float32 [n, 4] xyxy pixels and `scores` float32 [n], descending.

    Raises:
        PredictionError: nothing to read, one image twice, or a file that does not hold what its count promises.
    """
    if Path(path).suffix == ".json":
        raise PredictionError(
            f"{path}: expected a folder or zip of WIDER FACE's text files, found a JSON file; "
            "results of COCO are evaluated with data=coco data.annotations=FILE"
        )
    predictions: dict[str, dict[str, Tensor]] = {}
    origin: dict[str, str] = {}
    for name, content in _text_files(Path(path)):
        parts = PurePosixPath(name).parts
        if len(parts) < 2:
            raise PredictionError(
                f"{path}: expected predictions at <event>/<image>.txt, found {name} beside the events; "
                "move it into its event's folder, or remove it"
            )
        image_id = f"{parts[-2]}/{parts[-1].removesuffix('.txt')}"
        if image_id in origin:
            raise PredictionError(f"{path}: expected one file per image, found {origin[image_id]} and {name}")
        origin[image_id] = name
        predictions[image_id] = _parse(content, f"{path}: {name}")
    if not predictions:
        raise PredictionError(f"{path}: expected predictions at <event>/<image>.txt, found no .txt file")
    return predictions


def write_wider_predictions(folder: str | Path, predictions: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write `<event>/<image>.txt` for each image id, boxes with 5 decimals.

    Scores are written with the 9 significant digits that a float32 needs to come back unchanged: 5 decimals would tie
    low scores and move them across the evaluation's thresholds.

    Raises:
        PredictionError: an image id that is not "<event>/<image>".
    """
    for image_id, prediction in predictions.items():
        event, _, image = image_id.partition("/")
        if not event or not image or "/" in image or event in (".", ".."):
            raise PredictionError(f"expected image ids like '0--Parade/0_Parade_Parade_0_628', found {image_id!r}")
        boxes = prediction["boxes"].detach().cpu().double()
        xywh = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
        scores = prediction["scores"].detach().cpu().tolist()
        lines = [f"{x:.5f} {y:.5f} {w:.5f} {h:.5f} {s:.9g}" for (x, y, w, h), s in zip(xywh, scores, strict=True)]
        file = Path(folder) / event / f"{image}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([image, str(len(lines)), *lines, ""]), encoding="utf-8")


def _text_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names relative to the root, with forward slashes, and contents; macOS resource forks are left out."""
    if path.is_dir():
        for file in sorted(path.rglob("*.txt")):
            if not _is_resource_fork(file.relative_to(path).as_posix()):
                yield file.relative_to(path).as_posix(), file.read_bytes()
        return
    if not path.is_file():
        raise PredictionError(f"expected a folder or a zip file of predictions at {path}, found none")
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".txt") and not _is_resource_fork(name):
                    yield name, archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        raise PredictionError(f"{path}: expected a readable zip file without a password, found: {error}") from error


def _is_resource_fork(name: str) -> bool:
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith("._")


def _parse(content: bytes, where: str) -> dict[str, Tensor]:
    lines = content.rstrip().split(b"\n")
    if len(lines) < 2:
        raise PredictionError(
            f"{where}: expected name and count on the first two lines, found {len(lines) if lines[0] else 0} line(s); "
            "an image without detections has the count 0"
        )
    if not re.fullmatch(rb"\s*\d{1,9}\s*", lines[1]):
        raise PredictionError(f"{where}, line 2: expected the number of boxes, found {_show(lines[1])}")
    count = int(lines[1])
    rows = [line.split() for line in lines[2:]]
    if len(rows) != count:
        raise PredictionError(
            f"{where}, line 2: expected {count} lines of `x y w h score` below, found {len(rows)}; "
            "the file is cut short, or its count is wrong"
        )
    values = _numbers(rows)
    if values is None:
        bad = next(i for i, row in enumerate(rows) if _numbers([row]) is None)
        raise PredictionError(
            f"{where}, line {bad + 3}: expected five finite numbers `x y w h score`, found {_show(lines[bad + 2])}"
        )
    values = values[np.argsort(-values[:, 4], kind="stable")]
    boxes = np.concatenate([values[:, :2], values[:, :2] + values[:, 2:4]], axis=1)
    return {"boxes": torch.from_numpy(boxes).float(), "scores": torch.from_numpy(values[:, 4]).float()}


def _numbers(rows: list[list[bytes]]) -> np.ndarray | None:
    """[n, 5] float64, or None where a row is not five finite single precision numbers."""
    tokens = list(chain.from_iterable(rows))
    if set(map(len, rows)) - {5} or b"_" in b"".join(tokens):  # Python would read 1_0 as ten
        return None
    try:
        values = np.array(list(map(float, tokens))).reshape(-1, 5)
    except ValueError:
        return None
    return values if (np.abs(values) < np.finfo(np.float32).max / 2).all() else None


def _show(line: bytes) -> str:
    return repr(line.decode(errors="replace").strip()[:80])
