"""Lines of label files, their numbers and the errors about them."""

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

from data_modules.errors import DataError

LAYOUT = "the official layout is described at http://shuoyang1213.me/WIDERFACE/ and in data_modules/wider_face/files.py"
_IMAGE_PATH = re.compile(r"(?:[^/\\]+/)?[^/\\]+\.(?:jpg|jpeg|png)", re.IGNORECASE)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file in UTF-8, without a byte order mark and without blank lines at the end.

    Raises:
        DataError: the file is missing, cannot be read, or is not text.
    """
    if not path.is_file():
        raise DataError(f"expected the annotation file {path}, found none; {LAYOUT}")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: expected text in UTF-8, found other bytes ({error}); save it as UTF-8 or fetch it again"
        ) from error
    except OSError as error:
        raise DataError(f"expected a readable annotation file {path}, found {error.strerror}") from error
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def line_error(path: Path, at: int, found: str | None, expected: str) -> DataError:
    """An error about line `at` (from 0; shown from 1); `found` is None past the end of the file."""
    what = "the end of the file" if found is None else repr(found[:80])
    return DataError(f"{path}, line {at + 1}: expected {expected}; found {what}. Mend the line or fetch the file again")


def is_image_path(text: str) -> bool:
    """Whether a text has the form `<event>/<name>.<jpg|jpeg|png>`, or `<name>.jpg` where there are no events."""
    return _IMAGE_PATH.fullmatch(text) is not None


def numbers_of(line: str) -> list[Decimal] | None:
    """The numbers of a line exactly as written, or None where something in it is not a finite number."""
    if "_" in line:  # Python takes 1_000 for a number
        return None
    try:
        numbers = [Decimal(field) for field in line.split()]
    except InvalidOperation:
        return None
    return numbers if all(number.is_finite() for number in numbers) else None
