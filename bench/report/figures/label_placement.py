"""Labels beside the points of a plot, none over another: greedy, the most important first."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y downwards."""

    x0: float
    y0: float
    x1: float
    y1: float

    def meets(self, other: "Box") -> bool:
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def lies_in(self, other: "Box") -> bool:
        return self.x0 >= other.x0 and self.x1 <= other.x1 and self.y0 >= other.y0 and self.y1 <= other.y1


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    front: Sequence[bool],
    frame: Box,
    gap: float = 8.0,
) -> list[Box | None]:
    """A box for each point's label (width, height), inside the frame and clear of every point and earlier box.

    Points come in order of importance; those on the front prefer the empty side above it, the others the side below.
    None: the label finds no room and is better left to the tooltip.
    """
    taken = [Box(x - gap / 2, y - gap / 2, x + gap / 2, y + gap / 2) for x, y in points]
    placed: list[Box | None] = []
    for (x, y), (width, height), above in zip(points, sizes, front, strict=True):
        sides = _SIDES if above else tuple((-across, -down) for across, down in _SIDES)
        spots = (_spot(x, y, width, height, gap * reach, side) for reach in (1.0, 2.0) for side in sides)
        box = next((spot for spot in spots if spot.lies_in(frame) and not any(map(spot.meets, taken))), None)
        placed.append(box)
        if box is not None:
            taken.append(box)
    return placed


def anchor_of(box: Box, x: float) -> tuple[float, str]:
    """Where the text of a box is fixed (its x and which end of it), so that a wider font grows away from the point."""
    if box.x0 >= x:
        return box.x0, "start"
    if box.x1 <= x:
        return box.x1, "end"
    return (box.x0 + box.x1) / 2, "middle"


# Where the label of a point on the front lies, best first; the others take the opposite sides.
_SIDES = ((-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (1, 1), (0, 1), (-1, 1))


def _spot(x: float, y: float, width: float, height: float, gap: float, side: tuple[int, int]) -> Box:
    across, down = side
    reach = gap if down == 0 or across == 0 else gap * 0.7
    center_x = x + across * (reach + width / 2)
    center_y = y + down * (reach + height / 2)
    return Box(center_x - width / 2, center_y - height / 2, center_x + width / 2, center_y + height / 2)
