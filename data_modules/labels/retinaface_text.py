"""RetinaFace text (Deng et al., arXiv 1905.00641), as its authors and SCRFD's release their labels.

`# <event>/<name>.jpg` with or without `W H`, then a face a line: `x1 y1 x2 y2`, to which may be added five times
`x y flag` (-1 unlabelled; 0 and 1 labelled), then a score. A fifth number alone is an ignore flag (as SCRFD's
`labelv2.txt` has it). What the form has no place for, WIDER's six attributes, this suite appends to the line: 25
numbers, or 26 with a score; known loaders read the first 19.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from data_modules.errors import DataError
from data_modules.labels.lines import LAYOUT, is_image_path, line_error, numbers_of, read_lines
from data_modules.labels.records import (
    ATTRIBUTES,
    NO_ATTRIBUTES,
    UNLABELLED,
    FaceRecord,
    ImageRecord,
    are_whole,
    refuse_second,
)

_FACE_LINE = "a face as `x1 y1 x2 y2` or `x1 y1 x2 y2` and five times `x y flag` (4, 5, 19, 20, 25 or 26 numbers)"
_LENGTHS = (4, 5, 19, 20, 25, 26)
_HEADER = re.compile(r"#\s*(.+?\.(?:jpg|jpeg|png))(?:\s+(\d+)\s+(\d+))?\s*", re.IGNORECASE)  # names may have spaces


def read_retinaface_text(path: Path, sizes: bool = False) -> list[ImageRecord]:
    """Every image of the file, in its order; with `sizes` its boxes are `x y w h` (RetinaFace's release 1.1).

    Raises:
        DataError: the file is missing, or a line has another form (names the file and the line).
    """
    images: list[tuple[int, str, tuple[int, int] | None, list[FaceRecord]]] = []
    seen: set[str] = set()
    for at, line in enumerate(read_lines(path)):
        if line.startswith("#"):
            name, size = _header(path, at, line)
            refuse_second(path, at, name, seen)
            images.append((at + 1, name, size, []))
        elif line.strip():
            if not images:
                raise line_error(path, at, line, "`# <event>/<name>.jpg W H` before the first face")
            images[-1][3].append(_face(path, at, line, sizes))
    if not images:
        raise DataError(f"{path}: expected the faces of at least one image, found an empty file; {LAYOUT}")
    return [_image(*image) for image in images]


def write_retinaface_text(path: Path, images: Iterable[ImageRecord]) -> None:
    """Corners; a face with neither landmarks nor attributes is four numbers, and with an ignore flag alone, five."""
    lines = []
    for image in images:
        lines.append(" ".join(["#", image.path, *map(str, image.size or ())]))
        lines += [" ".join(map(str, _numbers(face))) for face in image.faces]
        lines += ["0 0 0 0"] if image.zero_face else []
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _header(path: Path, at: int, line: str) -> tuple[str, tuple[int, int] | None]:
    found = _HEADER.fullmatch(line)
    if found is None or not is_image_path(found[1]):
        raise line_error(path, at, line, "`# <event>/<name>.jpg`, with or without the width and the height")
    return found[1], (int(found[2]), int(found[3])) if found[2] else None


def _face(path: Path, at: int, line: str, sizes: bool) -> FaceRecord:
    numbers = numbers_of(line)
    if numbers is None or len(numbers) not in _LENGTHS:
        raise line_error(path, at, line, _FACE_LINE)
    x, y, right, bottom = numbers[:4]
    box = (x, y, right, bottom) if sizes else (x, y, _short(right - x), _short(bottom - y))
    if len(numbers) == 4:
        return FaceRecord(box)
    if len(numbers) == 5:
        if numbers[4] not in (0, 1):
            raise line_error(path, at, line, "0 or 1 as the fifth of five numbers, whether to ignore the face")
        return FaceRecord(box, (0, 0, 0, int(numbers[4]), 0, 0))
    attributes = numbers[-6:] if len(numbers) >= 25 else []
    if not are_whole(attributes):
        raise line_error(path, at, line, f"whole numbers for {', '.join(ATTRIBUTES)}")
    points = tuple(numbers[4:19])
    labelled = points if points != UNLABELLED or not attributes else None
    score = numbers[19] if len(numbers) in (20, 26) else None
    return FaceRecord(box, tuple(map(int, attributes)) or NO_ATTRIBUTES, labelled, score)


def _short(number: Decimal) -> Decimal:
    """Without the zeros that a difference ends with: 12.55 - 5.25 is 7.30, and was written 7.3."""
    short = number.normalize()
    return short.quantize(Decimal(1)) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]


def _image(line: int, name: str, size: tuple[int, int] | None, faces: list[FaceRecord]) -> ImageRecord:
    zero = Decimal(0)
    lone_zero = len(faces) == 1 and faces[0] == FaceRecord((zero, zero, zero, zero))
    return ImageRecord(name, () if lone_zero else tuple(faces), size, lone_zero, line)


def _numbers(face: FaceRecord) -> list[Decimal | int]:
    x, y, w, h = face.box
    numbers: list[Decimal | int] = [x, y, x + w, y + h]
    if face.landmarks is None and face.score is None:
        if face.attributes == NO_ATTRIBUTES:
            return numbers
        if face.attributes == (0, 0, 0, 1, 0, 0):
            return [*numbers, 1]
    numbers += face.landmarks or UNLABELLED
    numbers += [] if face.score is None else [face.score]
    return numbers + (list(face.attributes) if face.attributes != NO_ATTRIBUTES else [])
