"""Face labels as they are written: every number of a file, exactly, in the two text forms.

WIDER text (see `annotations.py`): `x y w h` and six attributes. RetinaFace text: `# <event>/<name>.jpg` with or without
`W H`, then a face a line: `x1 y1 x2 y2`, to which may be added five times `x y flag` (-1 unlabelled; 0 and 1 labelled),
then a score. A fifth number alone is an ignore flag (as SCRFD's `labelv2.txt` has it). What RetinaFace's form has no
place for, the six attributes, this suite appends to the line: 25 numbers, or 26 with a score; known loaders read the
first 19. Numbers are `Decimal`s, so that x + w and back loses nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from data_modules.annotations import FACE_LINE, is_image_path, line_error, read_lines
from data_modules.errors import DataError

ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")
NO_ATTRIBUTES = (0, 0, 0, 0, 0, 0)
UNLABELLED = (Decimal(-1),) * 15
_INVALID = ATTRIBUTES.index("invalid")
_RETINAFACE_LINE = "a face as `x1 y1 x2 y2` or `x1 y1 x2 y2` and five times `x y flag` (4, 5, 19, 20, 25 or 26 numbers)"
_LENGTHS = (4, 5, 19, 20, 25, 26)


@dataclass(frozen=True)
class FaceRecord:
    """One face: `box` x y w h, `attributes` in WIDER's order, `landmarks` 15 numbers or None, `score` or None."""

    box: tuple[Decimal, Decimal, Decimal, Decimal]
    attributes: tuple[int, ...] = NO_ATTRIBUTES
    landmarks: tuple[Decimal, ...] | None = None
    score: Decimal | None = None

    @property
    def invalid(self) -> bool:
        return self.attributes[_INVALID] == 1


@dataclass(frozen=True)
class ImageRecord:
    """The faces of one image, in order; `line` (from 1) is where the file names it.

    `size` is (W, H) where given. `zero_face`: that there is no face was written as one face of zeros.
    """

    path: str
    faces: tuple[FaceRecord, ...]
    size: tuple[int, int] | None = None
    zero_face: bool = False
    line: int = 0


def read_wider(path: Path) -> list[ImageRecord]:
    """Every image of a `wider_face_{split}_bbx_gt.txt`.

    Raises:
        DataError: the file is missing, or a line is not what the form asks for (names the file and the line).
    """
    lines = read_lines(path)
    while lines and not lines[-1].strip():
        lines.pop()
    images: list[ImageRecord] = []
    at = 0
    while at < len(lines):
        name = lines[at].strip()
        if not is_image_path(name):
            expected = "the path `<event>/<name>.jpg` of the next image (is the count of the one before right?)"
            raise line_error(path, at, lines[at], expected)
        found = lines[at + 1] if at + 1 < len(lines) else None
        if found is None or not found.strip().isdecimal():
            raise line_error(path, at + 1, found, f"the number of faces of {name}")
        count, first = int(found), at + 2
        faces = [
            _wider_face(path, lines, row, f"face {row - first + 1} of {count} of {name}")
            for row in range(first, first + count)
        ]
        lone_zero = len(faces) == 1 and not any(faces[0].box)
        after = first + count
        if count == 0 and after < len(lines) and lines[after].split() == ["0"] * 10:
            after += 1
        images.append(ImageRecord(name, () if lone_zero else tuple(faces), zero_face=lone_zero, line=at + 1))
        at = after
    return _once(path, images)


def write_wider(path: Path, images: Iterable[ImageRecord]) -> None:
    """As the official files have it, trailing spaces included; landmarks, scores and sizes have no place in it."""
    lines = []
    for image in images:
        lines += [image.path, str(len(image.faces) or int(image.zero_face))]
        lines += [" ".join(map(str, (*face.box, *face.attributes))) + " " for face in image.faces] or ["0 " * 10]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def read_retinaface(path: Path, sizes: bool = False) -> list[ImageRecord]:
    """Every image of a RetinaFace label file; with `sizes` its boxes are `x y w h` (RetinaFace's release 1.1).

    Raises:
        DataError: the file is missing, or a line has another form (names the file and the line).
    """
    images: list[tuple[int, str, tuple[int, int] | None, list[FaceRecord]]] = []
    for at, line in enumerate(read_lines(path)):
        if line.startswith("#"):
            images.append((at + 1, *_header(path, at, line), []))
        elif line.strip():
            if not images:
                raise line_error(path, at, line, "`# <event>/<name>.jpg W H` before the first face")
            images[-1][3].append(_retinaface_face(path, at, line, sizes))
    return _once(path, [_retinaface_image(*image) for image in images])


def write_retinaface(path: Path, images: Iterable[ImageRecord]) -> None:
    """Corners; a face with neither landmarks nor attributes is four numbers, and with an ignore flag alone, five."""
    lines = []
    for image in images:
        lines.append(" ".join(["#", image.path, *map(str, image.size or ())]))
        lines += [" ".join(map(str, _retinaface_numbers(face))) for face in image.faces]
        lines += ["0 0 0 0"] if image.zero_face else []
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def numbers_of(line: str) -> list[Decimal] | None:
    """The numbers of a line exactly as written, or None where something in it is not a finite number."""
    try:
        numbers = [Decimal(field) for field in line.split()]
    except InvalidOperation:
        return None
    return numbers if all(number.is_finite() for number in numbers) else None


def _wider_face(path: Path, lines: Sequence[str], at: int, what: str) -> FaceRecord:
    line = lines[at] if at < len(lines) else None
    numbers = None if line is None else numbers_of(line)
    if numbers is None or len(numbers) != 10 or not _whole(numbers[4:]):
        raise line_error(path, at, line, f"{what} as ten numbers `{FACE_LINE}`")
    return FaceRecord((numbers[0], numbers[1], numbers[2], numbers[3]), tuple(map(int, numbers[4:])))


def _header(path: Path, at: int, line: str) -> tuple[str, tuple[int, int] | None]:
    name, *size = line[1:].split() or [""]
    if not is_image_path(name) or len(size) not in (0, 2) or not all(side.isdecimal() for side in size):
        raise line_error(path, at, line, "`# <event>/<name>.jpg`, with or without the width and the height")
    return name, (int(size[0]), int(size[1])) if size else None


def _retinaface_face(path: Path, at: int, line: str, sizes: bool) -> FaceRecord:
    numbers = numbers_of(line)
    if numbers is None or len(numbers) not in _LENGTHS:
        raise line_error(path, at, line, _RETINAFACE_LINE)
    x, y, right, bottom = numbers[:4]
    box = (x, y, right, bottom) if sizes else (x, y, _short(right - x), _short(bottom - y))
    if len(numbers) == 4:
        return FaceRecord(box)
    if len(numbers) == 5:
        if numbers[4] not in (0, 1):
            raise line_error(path, at, line, "0 or 1 as the fifth of five numbers, whether to ignore the face")
        return FaceRecord(box, (0, 0, 0, int(numbers[4]), 0, 0))
    attributes = numbers[-6:] if len(numbers) >= 25 else []
    if not _whole(attributes):
        raise line_error(path, at, line, f"whole numbers for {', '.join(ATTRIBUTES)}")
    points = tuple(numbers[4:19])
    labelled = points if points != UNLABELLED or not attributes else None
    score = numbers[19] if len(numbers) in (20, 26) else None
    return FaceRecord(box, tuple(map(int, attributes)) or NO_ATTRIBUTES, labelled, score)


def _short(number: Decimal) -> Decimal:
    """Without the zeros that a difference ends with: 12.55 - 5.25 is 7.30, and was written 7.3."""
    short = number.normalize()
    return short.quantize(Decimal(1)) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]


def _retinaface_numbers(face: FaceRecord) -> list[Decimal | int]:
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


def _retinaface_image(line: int, name: str, size: tuple[int, int] | None, faces: list[FaceRecord]) -> ImageRecord:
    lone_zero = len(faces) == 1 and faces[0] == FaceRecord((Decimal(0),) * 4)  # type: ignore[arg-type]
    return ImageRecord(name, () if lone_zero else tuple(faces), size, lone_zero, line)


def _whole(numbers: Iterable[Decimal]) -> bool:
    return all(number == int(number) for number in numbers)


def _once(path: Path, images: list[ImageRecord]) -> list[ImageRecord]:
    if not images:
        raise DataError(f"{path}: expected the faces of at least one image, found none; fetch the file again")
    seen: set[str] = set()
    for image in images:
        if image.path in seen:
            raise line_error(path, image.line - 1, image.path, "every image once, but this one was listed before")
        seen.add(image.path)
    return images
