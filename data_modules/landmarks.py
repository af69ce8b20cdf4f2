"""Faces and landmarks of RetinaFace label files (arXiv 1905.00641), as arrays; `face_records.py` has the form.

A point whose flag is -1 is unlabelled; any other flag counts as labelled, occluded (0) or not (1), as in SCRFD's own
loader. A face of four numbers has no landmarks.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.annotations import FaceImage, face_image
from data_modules.errors import DataError
from data_modules.face_records import UNLABELLED, FaceRecord, ImageRecord, read_retinaface


def read_landmarks(path: Path) -> dict[str, NDArray[np.float32]]:
    """Image path -> [M, 19]: box xyxy, then five times x, y, visible (0 or 1; x = y = 0 where unlabelled).

    Raises:
        DataError: the file is missing, or a line has another form (names the file and the line).
    """
    rows = {image.path: [_corners(face) + _points(face) for face in image.faces] for image in read_retinaface(path)}
    return {name: np.asarray(faces, np.float32).reshape(-1, 19) for name, faces in rows.items()}


def read_labels(path: Path, sizes: bool = False) -> list[FaceImage]:
    """Every image of a label file, its faces with their landmarks; with `sizes` its boxes are x y w h.

    Ignored are the faces flagged so and those without width or height.

    Raises:
        DataError: as above, or a right or lower edge before the left or upper one.
    """
    return [_labelled(path, image, sizes) for image in read_retinaface(path, sizes)]


def _labelled(path: Path, image: ImageRecord, sizes: bool) -> FaceImage:
    for number, face in enumerate(image.faces, 1):
        if min(face.box[2:]) < 0:
            found = "negative sizes" if sizes else "x2 < x1 or y2 < y1; if they are x y w h, set data.label_boxes=sizes"
            raise DataError(f"{path}, face {number} of {image.path} (line {image.line}): expected a box, found {found}")
    xywh = np.array([face.box for face in image.faces], np.float32).reshape(-1, 4)
    labelled = face_image(image.path, xywh, np.array([face.invalid for face in image.faces], np.bool_))
    points = np.array([_points(face) for face in image.faces], np.float32).reshape(-1, 5, 3)
    labelled.keypoints[:] = points[: len(labelled.keypoints)]
    return labelled


def _corners(face: FaceRecord) -> list[float]:
    x, y, w, h = face.box
    return [float(value) for value in (x, y, x + w, y + h)]


def _points(face: FaceRecord) -> list[float]:
    """Five times x, y, visible."""
    numbers = [float(number) for number in face.landmarks or UNLABELLED]
    points = [numbers[at : at + 3] for at in range(0, 15, 3)]
    return [value for x, y, flag in points for value in ((0.0, 0.0, 0.0) if flag < 0 else (x, y, 1.0))]
