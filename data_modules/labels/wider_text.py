"""WIDER text, `wider_face_{split}_bbx_gt.txt`.

Per image: its path `<event>/<name>.jpg` (`<name>.jpg` where images lie in one folder), the number of faces, then a line
`x y w h blur expression illumination invalid occlusion pose` a face. An image without faces has the number 0 or 1 and
one line of zeros. Blank lines may stand before a path. A negative size is an error, but for the three of the official
release.

1. Every line is told apart by its place: path, number, face. The fields of all faces go into one list of floats.
2. The list becomes one table, checked at once; that is what training reads.
3. Where every digit is wanted, the lines that were kept become `Decimal`s.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.errors import DataError
from data_modules.labels.lines import LAYOUT, is_image_path, line_error, read_lines
from data_modules.labels.records import OFFICIAL_NEGATIVE_SIZES, FaceRecord, ImageRecord, refuse_second

FACE_LINE = "x y w h blur expression illumination invalid occlusion pose"
_NO_FACE = [0.0] * 10


@dataclass(frozen=True, eq=False)
class WiderImage:
    """One image as listed; a lone face of zeros, which stands for none, is still there."""

    path: str
    line: int  # from 1, where the file names it
    rows: Sequence[str]  # N lines as written
    table: NDArray[np.float64]  # [N, 10]

    def record(self) -> ImageRecord:
        """Its faces, every digit kept."""
        zero_face = len(self.table) == 1 and not self.table[0, :4].any()
        faces = () if zero_face else tuple(map(_face, self.rows))
        return ImageRecord(self.path, faces, zero_face=zero_face, line=self.line)


def read_wider_text(path: Path) -> list[WiderImage]:
    """Every image of the file, in its order.

    Raises:
        DataError: the file is missing, or a line is not what the form asks for (names the file and the line).
    """
    lines = read_lines(path)
    if not lines:
        raise DataError(f"{path}: expected the faces of at least one image, found an empty file; {LAYOUT}")
    places: dict[str, tuple[int, int]] = {}  # path -> line of the first face, number of faces
    seen: set[str] = set()
    numbers: list[float] = []
    at = 0
    while (at := _next_path(lines, at)) < len(lines):
        name, count = _head(path, lines, at)
        refuse_second(path, at, name, seen)
        places[name] = at + 2, count
        _read_faces(path, lines, name, places[name], numbers)
        at += 2 + count
        if count == 0 and at < len(lines) and _floats(lines[at]) == _NO_FACE:
            at += 1
    table = np.array(numbers, np.float64).reshape(-1, 10)
    _check(path, lines, places, table)
    ends = np.cumsum([count for _, count in places.values()])[:-1]
    return [
        WiderImage(name, first - 1, lines[first : first + count], rows)
        for (name, (first, count)), rows in zip(places.items(), np.split(table, ends), strict=True)
    ]


def read_wider_records(path: Path) -> list[ImageRecord]:
    """The same with every digit.

    Raises:
        DataError: as above.
    """
    return [image.record() for image in read_wider_text(path)]


def write_wider_text(path: Path, images: Iterable[ImageRecord]) -> None:
    """As the official files have it, trailing spaces included; landmarks, scores and sizes have no place in it."""
    lines = []
    for image in images:
        lines += [image.path, str(len(image.faces) or int(image.zero_face))]
        lines += [" ".join(map(str, (*face.box, *face.attributes))) + " " for face in image.faces] or ["0 " * 10]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _next_path(lines: Sequence[str], at: int) -> int:
    while at < len(lines) and not lines[at].strip():
        at += 1
    return at


def _head(path: Path, lines: Sequence[str], at: int) -> tuple[str, int]:
    """The path on line `at` and the number of faces on the next."""
    name = lines[at].strip()
    if not is_image_path(name):
        expected = "the path `<event>/<name>.jpg` of the next image (is the count of the one before right?)"
        raise line_error(path, at, lines[at], expected)
    found = lines[at + 1] if at + 1 < len(lines) else None
    if found is None or not found.strip().isdecimal():
        raise line_error(path, at + 1, found, f"the number of faces of {name}")
    return name, int(found)


def _read_faces(path: Path, lines: Sequence[str], name: str, place: tuple[int, int], numbers: list[float]) -> None:
    """Append the ten numbers of each face."""
    first, count = place
    for at in range(first, first + count):
        row = _floats(lines[at]) if at < len(lines) else None
        if row is None or len(row) != 10:
            raise _no_face(path, lines, name, place, at)
        numbers += row


def _floats(line: str) -> list[float] | None:
    try:
        return None if "_" in line else list(map(float, line.split()))  # Python takes 1_000 for a number
    except ValueError:
        return None


def _check(path: Path, lines: Sequence[str], places: dict[str, tuple[int, int]], table: NDArray[np.float64]) -> None:
    """Refuse the first row with a number that is not finite, an attribute that is not whole, or a negative size."""
    whole = (table[:, 4:] == np.trunc(table[:, 4:])).all(axis=1)
    malformed = np.logical_not(np.isfinite(table).all(axis=1) & whole)
    negative = table[:, 2:4].min(axis=1, initial=0) < 0
    if not np.any(malformed | negative):
        return
    row = 0
    for name, place in places.items():
        first, count = place
        for face in range(count):
            if malformed[row]:
                raise _no_face(path, lines, name, place, first + face)
            if negative[row] and name not in OFFICIAL_NEGATIVE_SIZES:
                what = f"face {face + 1} of {count} of {name} with a width and a height of 0 or more"
                raise line_error(path, first + face, lines[first + face], what)
            row += 1


def _no_face(path: Path, lines: Sequence[str], name: str, place: tuple[int, int], at: int) -> DataError:
    first, count = place
    what = f"face {at - first + 1} of {count} of {name} as ten numbers `{FACE_LINE}`, the last six whole"
    return line_error(path, at, lines[at] if at < len(lines) else None, what)


def _face(row: str) -> FaceRecord:
    x, y, w, h, *attributes = map(Decimal, row.split())
    return FaceRecord((x, y, w, h), tuple(map(int, attributes)))
