"""Faces as they are written, every number exactly, whatever form the file has.

Numbers are `Decimal`s, so that x + w and back loses nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from data_modules.labels.lines import line_error

ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")
NO_ATTRIBUTES = (0, 0, 0, 0, 0, 0)
UNLABELLED = (Decimal(-1),) * 15  # five times x y flag
# Images of the official release with one face of negative width each. Everywhere else a negative size is an error.
OFFICIAL_NEGATIVE_SIZES = frozenset(
    {
        "54--Rescue/54_Rescue_rescuepeople_54_29.jpg",
        "7--Cheering/7_Cheering_Cheering_7_17.jpg",
        "39--Ice_Skating/39_Ice_Skating_iceskiing_39_583.jpg",
    }
)


@dataclass(frozen=True)
class FaceRecord:
    """One face: `box` x y w h, `attributes` in WIDER's order, `landmarks` 15 numbers or None, `score` or None."""

    box: tuple[Decimal, Decimal, Decimal, Decimal]
    attributes: tuple[int, ...] = NO_ATTRIBUTES
    landmarks: tuple[Decimal, ...] | None = None
    score: Decimal | None = None

    @property
    def invalid(self) -> bool:
        return self.attributes[ATTRIBUTES.index("invalid")] == 1


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


def are_whole(numbers: Iterable[Decimal]) -> bool:
    return all(number == int(number) for number in numbers)


def refuse_second(path: Path, at: int, name: str, seen: set[str]) -> None:
    """Add the image named on line `at` (from 0) to those `seen`: by its stem, which is its id.

    Raises:
        DataError: the file lists it a second time.
    """
    image_id = name.rpartition(".")[0]
    if image_id in seen:
        raise line_error(path, at, name, "every image once, but this one was listed before")
    seen.add(image_id)
