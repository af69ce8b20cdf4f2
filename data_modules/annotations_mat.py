"""WIDER FACE annotations in MATLAB form: `wider_face_{split}.mat` of the split folder and of the evaluation tools.

One cell a row an event; inside, one cell an image: `file_list` (names without .jpg), `face_bbx_list` [N, 4] xywh,
`invalid_label_list` [N, 1]. An image without faces holds a single row of zeros, which is no face.
"""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from data_modules.annotations import LAYOUT, OFFICIAL_NEGATIVE_SIZES, FaceImage, face_image
from data_modules.errors import DataError

_KEYS = ("event_list", "file_list", "face_bbx_list", "invalid_label_list")


def read_mat(path: Path) -> list[FaceImage]:
    """Every image of a `wider_face_{split}.mat`, in its order.

    Raises:
        DataError: the file is missing, is not a MATLAB file, or lacks one of the lists.
    """
    table = _load(path)
    return [
        _read_image(path, f"{word(event)}/{word(name)}.jpg", boxes, invalid)
        for event, names, boxes_of, invalid_of in zip(*(table[key][:, 0] for key in _KEYS), strict=True)
        for name, boxes, invalid in zip(names[:, 0], boxes_of[:, 0], invalid_of[:, 0], strict=True)
    ]


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"expected the annotation file {path}, found none; {LAYOUT}")
    try:
        table: dict[str, Any] = scipy.io.loadmat(path, variable_names=_KEYS)
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise DataError(
            f"{path}: expected a MATLAB 5 file, found one that does not read ({error}); {LAYOUT}"
        ) from error
    missing = [key for key in _KEYS if key not in table]
    if missing:
        raise DataError(f"{path}: expected the lists {', '.join(_KEYS)}; found no {', '.join(missing)}; {LAYOUT}")
    return table


def _read_image(path: Path, name: str, boxes: Any, invalid: Any) -> FaceImage:
    xywh = np.asarray(boxes, np.float32)
    flags = np.asarray(invalid).reshape(-1)
    if xywh.ndim != 2 or xywh.shape[1] != 4 or len(flags) != len(xywh):
        raise DataError(
            f"{path}, image {name}: expected boxes [N, 4] with N invalid flags, "
            f"found boxes {list(xywh.shape)} and {len(flags)} flags; {LAYOUT}"
        )
    negative = (xywh[:, 2:] < 0).any(axis=1)
    if negative.any() and name not in OFFICIAL_NEGATIVE_SIZES:
        found = xywh[negative][0].tolist()
        raise DataError(
            f"{path}, image {name}: expected widths and heights of 0 or more, found x y w h {found}; {LAYOUT}"
        )
    return face_image(name, xywh, flags == 1)


def word(cell: Any) -> str:
    """The text in a MATLAB cell, however deeply SciPy wraps it."""
    while isinstance(cell, np.ndarray):
        cell = cell.item()
    return str(cell)
