"""The RetinaFace form of face landmarks: `# <event>/<name>.jpg W H`, then a face a line.

A face is `x1 y1 x2 y2` and five times `x y flag` (eyes, nose, mouth corners). A triple of -1 is an unlabelled point;
any other flag counts as labelled, as in SCRFD's own loader (landmarks: RetinaFace, arXiv 1905.00641). A face of four
numbers has no landmarks.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.annotations import is_image_path, line_error, read_lines, read_numbers

_FACE = "a face as `x1 y1 x2 y2` or `x1 y1 x2 y2` and five times `x y flag` (4 or 19 numbers)"


def read_landmarks(path: Path) -> dict[str, NDArray[np.float32]]:
    """Image path -> [M, 19]: box xyxy, then five times x, y, visible (0 or 1; x = y = 0 where unlabelled).

    Raises:
        DataError: the file is missing, or a line has another form (names the file and the line).
    """
    rows: dict[str, list[list[float]]] = {}
    faces: list[list[float]] | None = None
    for at, line in enumerate(read_lines(path)):
        if line.startswith("#"):
            faces = rows.setdefault(_header(path, at, line), [])
        elif line.strip():
            if faces is None:
                raise line_error(path, at, line, "`# <event>/<name>.jpg W H` before the first face")
            faces.append(_face(path, at, line))
    return {name: np.asarray(faces, np.float32).reshape(-1, 19) for name, faces in rows.items()}


def _header(path: Path, at: int, line: str) -> str:
    name = line[1:].split()[0] if line[1:].split() else ""
    if not is_image_path(name):
        raise line_error(path, at, line, "`# <event>/<name>.jpg W H`")
    return name


def _face(path: Path, at: int, line: str) -> list[float]:
    numbers = read_numbers(line)
    if numbers is None or len(numbers) not in (4, 19):
        raise line_error(path, at, line, _FACE)
    face = numbers[:4]
    for start in range(4, 19, 3):
        point = numbers[start : start + 3]
        face += [0.0, 0.0, 0.0] if not point or point == [-1.0, -1.0, -1.0] else [point[0], point[1], 1.0]
    return face
