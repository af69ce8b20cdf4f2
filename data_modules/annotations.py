"""WIDER FACE annotations, whatever file they come from, as one `FaceImage` per image.

Two official sources hold the same faces: the text files `wider_face_{split}_bbx_gt.txt` (read here) and the MATLAB
files (`annotations_mat.py`). Text form, per image: the path `<event>/<name>.jpg`, the number of faces, then one line
`x y w h blur expression illumination invalid occlusion pose` a face; an image without faces has the number 0 or 1 and
one line of zeros. Boxes become xyxy with x2 = x + w. A face that is marked invalid, or has no width or height, is kept
and flagged `ignore`. A negative size is an error, but for the three that the official release holds.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.errors import DataError

LAYOUT = "the official layout is described at http://shuoyang1213.me/WIDERFACE/ and in data_modules/wider_face.py"
FACE_LINE = "x y w h blur expression illumination invalid occlusion pose"
_NO_FACE = [0.0] * 10
# Images of the official release with one face of negative width each; that face is kept as an ignored one of width 0.
OFFICIAL_NEGATIVE_SIZES = {
    "54--Rescue/54_Rescue_rescuepeople_54_29.jpg",
    "7--Cheering/7_Cheering_Cheering_7_17.jpg",
    "39--Ice_Skating/39_Ice_Skating_iceskiing_39_583.jpg",
}


@dataclass(frozen=True)
class FaceImage:
    """The faces of one image. An unlabelled landmark is visible = 0; its x and y then mean nothing."""

    image_id: str  # "<event>/<file stem>"
    path: str  # "<event>/<file name>", relative to WIDER_{split}/images
    boxes: NDArray[np.float32]  # [N, 4] xyxy pixels
    ignore: NDArray[np.bool_]  # [N]
    keypoints: NDArray[np.float32]  # [N, 5, 3] x, y, visible

    @property
    def labels(self) -> NDArray[np.int64]:
        """[N] zeros: there is one class."""
        return np.zeros(len(self.boxes), np.int64)


def face_image(path: str, xywh: NDArray[np.float32], invalid: NDArray[np.bool_]) -> FaceImage:
    """From WIDER's own form: `xywh` [N, 4] and `invalid` [N]; landmarks start out unlabelled.

    A lone box of zeros is how both kinds of file write that there is no face.
    """
    if len(xywh) == 1 and not xywh.any():
        xywh, invalid = xywh[:0], invalid[:0]
    ignore = invalid.astype(bool) | (xywh[:, 2:] <= 0).any(axis=1)
    corners = [xywh[:, :2], xywh[:, :2] + np.maximum(xywh[:, 2:], 0)]
    boxes = np.concatenate(corners, axis=1).astype(np.float32)  # [N, 4]
    image_id = path.rsplit(".", 1)[0]
    return FaceImage(image_id, path, boxes, ignore, np.zeros((len(boxes), 5, 3), np.float32))


def read_lines(path: Path) -> list[str]:
    """The lines of an annotation file.

    Raises:
        DataError: the file is missing, or is not text.
    """
    if not path.is_file():
        raise DataError(f"expected the annotation file {path}, found none; {LAYOUT}")
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected text in UTF-8, found other bytes ({error}); fetch it again") from error


def read_numbers(line: str) -> list[float] | None:
    """The numbers of a line, or None where something in it is not a finite number."""
    try:
        numbers = [float(field) for field in line.split()]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def read_text(path: Path) -> list[FaceImage]:
    """Every image of a `wider_face_{split}_bbx_gt.txt`, in its order.

    Raises:
        DataError: the file is missing, or a line is not what the form asks for (names the file and the line).
    """
    lines = read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{path}: expected the faces of at least one image, found an empty file; {LAYOUT}")
    images: dict[str, FaceImage] = {}
    at = 0
    while at < len(lines):
        image, after = _read_image(path, lines, at)
        if image.image_id in images:
            raise line_error(path, at, lines[at], "every image once, but this one was listed before")
        images[image.image_id] = image
        at = after
    return list(images.values())


def line_error(path: Path, at: int, found: str | None, expected: str) -> DataError:
    """An error about line `at` (from 0; shown from 1); `found` is None past the end of the file."""
    what = "the end of the file" if found is None else repr(found[:80])
    return DataError(f"{path}, line {at + 1}: expected {expected}; found {what}. Mend the line or fetch the file again")


def is_image_path(line: str) -> bool:
    """Whether a line has the form `<event>/<name>.<jpg|jpeg|png>`."""
    event, _, name = line.partition("/")
    return bool(event) and "/" not in name and name.lower().endswith((".jpg", ".jpeg", ".png"))


def _read_image(path: Path, lines: list[str], at: int) -> tuple[FaceImage, int]:
    """The image whose path is on line `at`, and the line after its last."""
    name = lines[at].strip()
    if not is_image_path(name):
        expected = "the path `<event>/<name>.jpg` of the next image (is the count of the one before right?)"
        raise line_error(path, at, lines[at], expected)
    found = lines[at + 1] if at + 1 < len(lines) else None
    if found is None or not found.strip().isdecimal():
        raise line_error(path, at + 1, found, f"the number of faces of {name}")
    count = int(found)
    rows = [_read_face(path, lines, at + 2 + face, f"face {face + 1} of {count}", name) for face in range(count)]
    after = at + 2 + count
    if count == 0 and after < len(lines) and read_numbers(lines[after]) == _NO_FACE:
        after += 1
    table = np.asarray(rows, np.float32).reshape(-1, 10)
    return face_image(name, table[:, :4], table[:, 7] == 1), after


def _read_face(path: Path, lines: list[str], at: int, what: str, name: str) -> list[float]:
    line = lines[at] if at < len(lines) else None
    numbers = None if line is None else read_numbers(line)
    if numbers is None or len(numbers) != 10:
        raise line_error(path, at, line, f"{what} of {name} as ten numbers `{FACE_LINE}`")
    if min(numbers[2], numbers[3]) < 0 and name not in OFFICIAL_NEGATIVE_SIZES:
        raise line_error(path, at, line, f"{what} of {name} with a width and a height of 0 or more")
    return numbers


def with_landmarks(images: list[FaceImage], landmarks: dict[str, NDArray[np.float32]], path: Path) -> list[FaceImage]:
    """`images` with the keypoints of `landmarks` (see `landmarks.py`), matched face by face.

    Faces are matched by order, each pair of boxes within 1 px: a face that the landmark file skips stays unlabelled, a
    face of the landmark file that fits none is an error.

    Raises:
        DataError: a box of the landmark file at `path` fits no face that is left in its image.
    """
    return [_match(image, landmarks[image.path], path) if image.path in landmarks else image for image in images]


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
