"""A scene before any pixel: which shapes lie where, which covers which, and therefore every box and area.

Boxes and areas are those of the part that can be seen, as in COCO, measured at half a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .outlines import CLASS_NAMES, Points, outline, placed

SIZES = ((480, 640), (427, 640), (640, 480), (500, 500))  # height, width
EMPTY_EVERY = 12  # one image in so many shows no object
CROWD_EVERY = 6  # one image in so many has a crowd
_FINE = 2  # cells of the map of what is seen, per pixel
_LEAST_SEEN = 0.3  # a shape that shows less of itself is taken away
_LEAST_AREA = 12.0  # square pixels


@dataclass(frozen=True)
class Shape:
    """One shape; `group` >= 0 makes it a member of that crowd."""

    label: int
    points: Points  # [N, 2] pixels
    radius: float
    group: int = -1


@dataclass(frozen=True)
class LabelledBox:
    """An annotation: box x y w h, area in square pixels of what is seen, and whether it is a crowd."""

    label: int
    box: tuple[float, float, float, float]
    area: float
    crowd: bool


@dataclass(frozen=True)
class Scene:
    """Shapes from the farthest to the nearest, and what the annotations say about them."""

    height: int
    width: int
    shapes: tuple[Shape, ...]
    objects: tuple[LabelledBox, ...]


def plan_scene(rng: np.random.Generator, index: int) -> Scene:
    """The plan of image `index` of a split."""
    height, width = SIZES[int(rng.integers(len(SIZES)))]
    shapes: list[Shape] = []
    if index % EMPTY_EVERY != EMPTY_EVERY // 2:
        if index % CROWD_EVERY == 1:
            shapes += _crowd(rng, height, width, group=0)
        shapes += [_alone(rng, height, width) for _ in range(rng.integers(2, 11))]
    while True:  # what hides too much of another is no longer there to hide anything, so count again
        nearest = _nearest(shapes, height, width)
        areas = np.bincount(nearest.ravel() + 1, minlength=len(shapes) + 1)[1:] / _FINE**2
        kept = [shape for shape, area in zip(shapes, areas, strict=True) if _counts(shape, float(area))]
        if len(kept) == len(shapes):
            return Scene(height, width, tuple(shapes), tuple(_annotations(shapes, nearest)))
        shapes = kept


def _alone(rng: np.random.Generator, height: int, width: int) -> Shape:
    """A shape of its own; a third are tiny, sizes are uniform in the logarithm."""
    low, high = (4.0, 12.0) if rng.random() < 0.3 else (10.0, 130.0)
    radius = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    return _shape(rng, int(rng.integers(len(CLASS_NAMES))), float(x), float(y), radius)


def _crowd(rng: np.random.Generator, height: int, width: int, group: int) -> list[Shape]:
    """Many small shapes of one class, heaped up so that nobody would count them."""
    label, radius = int(rng.integers(len(CLASS_NAMES))), float(rng.uniform(8, 16))
    reach = radius * np.array([rng.uniform(4, 8), rng.uniform(2, 4)])
    center = np.array([rng.uniform(0.25, 0.75) * width, rng.uniform(0.25, 0.75) * height])
    places = center + rng.uniform(-1, 1, (int(rng.integers(25, 50)), 2)) * reach
    return [_shape(rng, label, float(x), float(y), radius * float(rng.uniform(0.8, 1.2)), group) for x, y in places]


def _shape(rng: np.random.Generator, label: int, x: float, y: float, radius: float, group: int = -1) -> Shape:
    turned = placed(outline(CLASS_NAMES[label]), x, y, radius, rng.uniform(0, 2 * np.pi), rng.uniform(0.75, 1.0))
    return Shape(label, turned, radius, group)


def _nearest(shapes: list[Shape], height: int, width: int) -> NDArray[np.int32]:
    """The number of the shape that is seen at each half pixel, -1 for none."""
    nearest = np.full((height * _FINE, width * _FINE), -1, np.int32)
    for number, shape in enumerate(shapes):
        corners = np.round((shape.points * _FINE - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(nearest, [corners], number, cv2.LINE_8, 4)
    return nearest


def _counts(shape: Shape, area: float) -> bool:
    """Whether a shape of which `area` square pixels are seen stays in the scene."""
    if shape.group >= 0:
        return area > 0
    return area >= max(_LEAST_AREA, _LEAST_SEEN * cv2.contourArea(shape.points.astype(np.float32)))


def _annotations(shapes: list[Shape], nearest: NDArray[np.int32]) -> list[LabelledBox]:
    alone = [(number, shape) for number, shape in enumerate(shapes) if shape.group < 0]
    found = [_labelled(shape.label, nearest == number, crowd=False) for number, shape in alone]
    for group in sorted({shape.group for shape in shapes} - {-1}):
        members = [number for number, shape in enumerate(shapes) if shape.group == group]
        found.append(_labelled(shapes[members[0]].label, np.isin(nearest, members), crowd=True))
    return found


def _labelled(label: int, mask: NDArray[np.bool_], crowd: bool) -> LabelledBox:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = columns[0] / _FINE, rows[0] / _FINE
    size = (columns[-1] + 1) / _FINE - x, (rows[-1] + 1) / _FINE - y
    return LabelledBox(label, (float(x), float(y), float(size[0]), float(size[1])), float(mask.sum()) / _FINE**2, crowd)
