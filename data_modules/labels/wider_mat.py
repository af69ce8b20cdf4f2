"""WIDER FACE in MATLAB form: cells inside cells, one row an event, inside it one row an image.

`wider_face_{split}.mat`, of the split folder and of the evaluation tools: `event_list`, `file_list` (names without
.jpg), `face_bbx_list` [N, 4] x y w h, and for each attribute a list [N, 1], `invalid_label_list` and so on.
`wider_{easy,medium,hard}_val.mat`: `gt_list`, the numbers from 1 of the faces that count. Values are kept as stored:
sizes may be zero or negative, and a lone face of zeros is how an image without faces is written.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from data_modules.errors import DataError
from data_modules.labels.lines import LAYOUT
from data_modules.labels.records import ATTRIBUTES

Table = NDArray[np.float64]  # [N, 10] x y w h and the six attributes, NaN where the file has no such list
_KEYS = ("event_list", "file_list", "face_bbx_list")


def read_tables(path: Path, attributes: Sequence[str] | None = None) -> dict[str, Table]:
    """Every face of a `wider_face_{split}.mat` as stored, in the file's order.

    Args:
        attributes: those that are read, each of which has to be there; None: those that the file has.

    Returns:
        "<event>/<name>.jpg" -> [N, 10].

    Raises:
        DataError: the file is missing, is not a MATLAB file, lacks a list, or its lists do not fit each other.
    """
    wanted = [_list_of(name) for name in (ATTRIBUTES if attributes is None else attributes)]
    content = _load(path, (*_KEYS, *wanted), _KEYS if attributes is None else (*_KEYS, *wanted))
    names = _names(path, content)
    boxes = _per_image(path, content, "face_bbx_list", len(names))
    tables = {name: _boxes(path, name, cell) for name, cell in zip(names, boxes, strict=True)}
    for column, key in enumerate(map(_list_of, ATTRIBUTES), 4):
        if key in content:
            cells = _per_image(path, content, key, len(names))
            for (name, table), cell in zip(tables.items(), cells, strict=True):
                table[:, column] = _attribute(path, name, key, cell, len(table))
    return tables


def read_counted(path: Path) -> list[NDArray[np.int64]]:
    """The faces that count, of every image of a `wider_{easy,medium,hard}_val.mat`: numbers from 1.

    Raises:
        DataError: the file is missing, is not a MATLAB file, or has no such list of whole numbers.
    """
    cells = _flat(_load(path, ("gt_list",), ("gt_list",))["gt_list"])
    numbers = [np.asarray(cell).reshape(-1) for cell in cells]
    for number, found in enumerate(numbers, 1):
        if found.size and (found.dtype.kind not in "uif" or (found != found.astype(np.int64)).any()):
            raise DataError(f"{path}, image {number}: expected whole numbers of faces, found {found!r}; {LAYOUT}")
    return [found.astype(np.int64) for found in numbers]


def without_zero_face(table: Table) -> Table:
    """[N, 10] without the lone box of zeros that says that there is no face."""
    return table[:0] if len(table) == 1 and not table[:, :4].any() else table


def _list_of(attribute: str) -> str:
    return f"{attribute}_label_list"


def _load(path: Path, keys: Sequence[str], needed: Sequence[str]) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"expected the annotation file {path}, found none; {LAYOUT}")
    try:
        content: dict[str, Any] = scipy.io.loadmat(path, variable_names=list(keys))
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise DataError(
            f"{path}: expected a MATLAB 5 file, found one that does not read ({error}); {LAYOUT}"
        ) from error
    missing = [key for key in needed if key not in content]
    if missing:
        raise DataError(f"{path}: expected the lists {', '.join(needed)}; found no {', '.join(missing)}; {LAYOUT}")
    return content


def _names(path: Path, content: dict[str, Any]) -> list[str]:
    """ "<event>/<name>.jpg" of every image, each once."""
    events, names_of = _cells(content["event_list"]), _cells(content["file_list"])
    if len(events) != len(names_of):
        raise DataError(
            f"{path}: expected as many events in file_list as in event_list ({len(events)}), found {len(names_of)}; "
            f"{LAYOUT}"
        )
    names = [
        f"{_text(path, event)}/{_text(path, name)}.jpg"
        for event, cell in zip(events, names_of, strict=True)
        for name in _cells(cell)
    ]
    if not names or len(set(names)) < len(names):
        raise DataError(
            f"{path}: expected images, each listed once, found {len(names)}, {len(set(names))} of them distinct; "
            f"{LAYOUT}"
        )
    return names


def _per_image(path: Path, content: dict[str, Any], key: str, count: int) -> list[NDArray[Any]]:
    cells = _flat(content[key])
    if len(cells) != count:
        raise DataError(f"{path}: expected {count} images in {key}, found {len(cells)}; {LAYOUT}")
    return cells


def _boxes(path: Path, name: str, cell: NDArray[Any]) -> Table:
    """[N, 10], the attributes still NaN."""
    boxes = cell if cell.size else np.zeros((0, 4))
    fits = boxes.ndim == 2 and boxes.shape[1] == 4 and boxes.dtype.kind in "uif"
    if not fits or not np.isfinite(boxes).all():
        raise DataError(
            f"{path}, image {name}: expected boxes [N, 4] of finite numbers, found {list(boxes.shape)}; {LAYOUT}"
        )
    table = np.full((len(boxes), 10), np.nan)
    table[:, :4] = boxes
    return table


def _attribute(path: Path, name: str, key: str, cell: NDArray[Any], count: int) -> NDArray[Any]:
    if cell.size != count or cell.dtype.kind not in "uif":
        raise DataError(
            f"{path}, image {name}: expected boxes [N, 4] with N numbers in {key}, "
            f"found {count} boxes and {cell.size} numbers; {LAYOUT}"
        )
    return cell.reshape(-1)


def _flat(nested: NDArray[Any]) -> list[NDArray[Any]]:
    return [cell for event in _cells(nested) for cell in _cells(event)]


def _cells(value: NDArray[Any]) -> list[NDArray[Any]]:
    """The elements of a MATLAB cell array, whichever way it lies."""
    return list(value.ravel()) if value.dtype == object else []


def _text(path: Path, cell: Any) -> str:
    """The text in a MATLAB cell, however deeply SciPy wraps it."""
    while isinstance(cell, np.ndarray) and cell.dtype == object and cell.size == 1:
        cell = cell.item()
    if not isinstance(cell, np.ndarray) or cell.dtype.kind != "U" or cell.size != 1:
        raise DataError(f"{path}: expected the name of an event or image, found {cell!r}; {LAYOUT}")
    return str(cell.item())
