"""The faces of an image as arrays, whatever file they come from: what is trained on, and what hashes tell.

Boxes become xyxy with x2 = x + w, in single precision. A face that is marked invalid, or has no width or height, is
kept and flagged `ignore`; one of negative size, of which the official release has three, becomes one of size 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.errors import DataError
from data_modules.labels.lines import LAYOUT
from data_modules.labels.records import OFFICIAL_NEGATIVE_SIZES, UNLABELLED, FaceRecord, ImageRecord
from data_modules.labels.wider_text import WiderImage

_INVALID = 7  # column of a table


@dataclass(frozen=True)
class FaceImage:
    """The faces of one image. An unlabelled landmark is visible = 0; its x and y then mean nothing."""

    image_id: str  # the path without its ending
    path: str  # "<event>/<file name>", relative to WIDER_{split}/images
    boxes: NDArray[np.float32]  # [N, 4] xyxy pixels
    ignore: NDArray[np.bool_]  # [N]
    keypoints: NDArray[np.float32]  # [N, 5, 3] x, y, visible

    @property
    def labels(self) -> NDArray[np.int64]:
        """[N] zeros: there is one class."""
        return np.zeros(len(self.boxes), np.int64)


def faces_of_text(images: Sequence[WiderImage]) -> list[FaceImage]:
    """Without landmarks, which WIDER text does not have."""
    return [_image(image.path, image.table[:, :4], image.table[:, _INVALID] == 1) for image in images]


def faces_of_tables(path: Path, tables: Mapping[str, NDArray[np.float64]]) -> list[FaceImage]:
    """From the tables [N, 10] of the MATLAB file at `path`, without landmarks.

    Raises:
        DataError: a negative size outside the three images of the official release.
    """
    refuse_negative_sizes(path, tables)
    return [_image(name, table[:, :4], table[:, _INVALID] == 1) for name, table in tables.items()]


def refuse_negative_sizes(path: Path, tables: Mapping[str, NDArray[np.float64]]) -> None:
    """As above."""
    for name, table in tables.items():
        negative = (table[:, 2:4] < 0).any(axis=1)
        if negative.any() and name not in OFFICIAL_NEGATIVE_SIZES:
            found = table[negative][0, :4].tolist()
            raise DataError(
                f"{path}, image {name}: expected widths and heights of 0 or more, found x y w h {found}; {LAYOUT}"
            )


def faces_of_labels(path: Path, records: Sequence[ImageRecord], sizes: bool = False) -> list[FaceImage]:
    """From the records of the RetinaFace file at `path`, with their landmarks; `sizes` as it was read.

    A point whose flag is -1 is unlabelled; any other flag counts as labelled, occluded (0) or not (1), as in SCRFD's
    own loader.

    Raises:
        DataError: a right or lower edge before the left or upper one.
    """
    return [_labelled(path, record, sizes) for record in records]


def landmarks_of(records: Sequence[ImageRecord]) -> dict[str, NDArray[np.float32]]:
    """Image path -> [M, 19]: box xyxy, then five times x, y, visible (0 or 1; x = y = 0 where unlabelled)."""
    rows = {record.path: [_corners(face) + _points(face) for face in record.faces] for record in records}
    return {name: np.asarray(faces, np.float32).reshape(-1, 19) for name, faces in rows.items()}


def with_landmarks(
    images: Sequence[FaceImage], landmarks: Mapping[str, NDArray[np.float32]], path: Path
) -> list[FaceImage]:
    """`images` with the keypoints of `landmarks` (see above), matched face by face.

    Faces are matched by order, each pair of boxes within 1 px: a face that the landmark file skips stays unlabelled, a
    face of the landmark file that fits none is an error.

    Raises:
        DataError: a box of the landmark file at `path` fits no face that is left in its image.
    """
    return [_match(image, landmarks[image.path], path) if image.path in landmarks else image for image in images]


def _image(path: str, xywh: NDArray[np.floating], invalid: NDArray[np.bool_]) -> FaceImage:
    """From `xywh` [N, 4] and `invalid` [N]; a lone box of zeros is how there is no face; landmarks are unlabelled."""
    if len(xywh) == 1 and not xywh.any():
        xywh, invalid = xywh[:0], invalid[:0]
    single = xywh.astype(np.float32)
    ignore = invalid | (single[:, 2:] <= 0).any(axis=1)
    boxes = np.concatenate([single[:, :2], single[:, :2] + np.maximum(single[:, 2:], 0)], axis=1)  # [N, 4]
    return FaceImage(path.rpartition(".")[0], path, boxes, ignore, np.zeros((len(boxes), 5, 3), np.float32))


def _labelled(path: Path, record: ImageRecord, sizes: bool) -> FaceImage:
    for number, face in enumerate(record.faces, 1):
        if min(face.box[2:]) < 0:
            found = "negative sizes" if sizes else "x2 < x1 or y2 < y1; if they are x y w h, set data.label_boxes=sizes"
            raise DataError(
                f"{path}, face {number} of {record.path} (line {record.line}): expected a box, found {found}"
            )
    xywh = np.array([face.box for face in record.faces], np.float64).reshape(-1, 4)
    labelled = _image(record.path, xywh, np.array([face.invalid for face in record.faces], np.bool_))
    points = np.array([_points(face) for face in record.faces], np.float32).reshape(-1, 5, 3)
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


def _match(image: FaceImage, rows: NDArray[np.float32], path: Path) -> FaceImage:
    """`rows` [M, 19] = xyxy and five x, y, visible."""
    keypoints = image.keypoints.copy()
    at = 0
    for row in rows:
        fits = np.abs(image.boxes[at:] - row[:4]).max(axis=1, initial=0.0) <= 1.0
        if not fits.any():
            box = " ".join(f"{value:g}" for value in row[:4])
            raise DataError(
                f"{path}: expected the boxes of {image.path} in the order of the annotations, within 1 px; "
                f"found {box}, which fits none of its faces from number {at + 1} on. Use the landmarks of this split"
            )
        at += int(fits.argmax())
        keypoints[at] = row[4:].reshape(5, 3)
        at += 1
    return replace(image, keypoints=keypoints)
