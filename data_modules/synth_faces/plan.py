"""A scene before any pixel: who stands where, what covers whom, and therefore every box and label.

People are placed from the nearest to the farthest against a map of what is already covered, so occlusion is measured,
not guessed; they are painted in the opposite order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .head import Head
from .labels import MIN_LANDMARK_SIZE, AnnotatedImage, Attributes, Face, blur_label, occlusion_label
from .look import Light, sample_light, sample_look
from .person import Cover, Person, sample_cover
from .scales import EVENTS, occurrence, sample_sizes

_SHAPES = ((480, 640), (427, 640), (640, 480), (640, 640), (360, 640), (480, 640))  # height, width
_EMPTY_EVERY = 40  # one image in so many shows no face at all
_TRIES = 60


@dataclass(frozen=True)
class Scene:
    """Everything the renderer needs and everything the annotations say."""

    image: AnnotatedImage
    people: tuple[Person, ...]  # farthest first
    horizon: float  # share of the height
    sensor_noise: float
    light: Light


def plan_scene(rng: np.random.Generator, index: int) -> Scene:
    """The plan of image `index` of a split."""
    kind, nth = occurrence(index)
    height, width = _SHAPES[int(rng.integers(len(_SHAPES)))]
    if kind == "crowd" and height > width:
        height, width = width, height
    enlarge = 1.5 if kind == "group" and nth % 8 == 5 else 1.0  # a few images are larger than 640
    height, width = round(height * enlarge), round(width * enlarge)
    light = sample_light(rng, extreme=bool(rng.random() < 0.06))
    horizon = float(rng.uniform(0.06, 0.16) if kind == "crowd" else rng.uniform(0.3, 0.55))
    planner = _Planner(rng, kind, height, width, enlarge, light)
    empty = index % _EMPTY_EVERY == _EMPTY_EVERY // 2
    cast = [] if empty else [(size, "face") for size in sample_sizes(rng, index)]
    if kind in ("crowd", "street") and not empty:
        cast += [(float(rng.uniform(3.2, 6.0)), "invalid") for _ in range(rng.integers(0, 4))]
    cast += _faceless(rng, kind, [size for size, _ in cast])
    for size, role in sorted(cast, reverse=True):
        planner.add_person(size * enlarge, role)
    image = AnnotatedImage(EVENTS[kind], "", width, height, tuple(planner.faces))
    people = tuple(reversed(planner.people))
    return Scene(image, people, horizon, float(rng.gamma(2.0, 2.0)), light)


def _faceless(rng: np.random.Generator, kind: str, sizes: list[float]) -> list[tuple[float, str]]:
    """Backs of heads, and heads without features: people (and dummies) that must not be found."""
    most = {"portrait": 2, "group": 4, "street": 4, "crowd": 7}[kind]
    return [
        (
            float(rng.choice(sizes or [12.0, 30.0, 60.0]) * rng.uniform(0.6, 1.1)),
            str(rng.choice(["back", "blank"], p=[0.75, 0.25])),
        )
        for _ in range(rng.integers(0, most + 1))
    ]


class _Planner:
    """Places people against the map of what nearer people cover."""

    def __init__(
        self, rng: np.random.Generator, kind: str, height: int, width: int, enlarge: float, light: Light
    ) -> None:
        self.rng, self.kind, self.light = rng, kind, light
        self.height, self.width, self.enlarge = height, width, enlarge
        self.covered = np.zeros((height, width), np.uint8)
        self.people: list[Person] = []
        self.faces: list[Face] = []

    def add_person(self, size: float, role: str) -> None:
        """Somebody whose face measures `size` pixels; role: face, invalid (annotated as such), back or blank."""
        rng = self.rng
        seen = role in ("face", "invalid")
        head = self._sample_head(size, yaw=0.75 if rng.random() < 0.2 else 0.3)
        hidden = rng.random() < 0.14
        head = self._place(head, most_covered=0.45 if hidden or not seen else 0.03)
        cover = sample_cover(rng, head) if seen and not hidden and rng.random() < 0.07 else None
        person = self._person(head, "face" if seen else role, cover)
        if role == "invalid":
            person = replace(person, blur=float(rng.uniform(1.0, 1.6)))
        if seen:
            self.faces.append(self._annotate(person, role == "invalid"))
        self._commit(person)

    def _sample_head(self, size: float, yaw: float) -> Head:
        rng = self.rng
        head = Head(
            yaw=float(np.clip(rng.normal(0, yaw), -1.15, 1.15)),
            pitch=float(np.clip(rng.normal(0, 0.14), -0.45, 0.45)),
            roll=float(np.clip(rng.normal(0, 0.12 if rng.random() < 0.9 else 0.4), -0.9, 0.9)),
            jaw=float(rng.uniform(0.88, 1.1)),
            width=float(rng.uniform(0.94, 1.05)),
        )
        x1, y1, x2, y2 = head.box()
        return replace(head, scale=size / float(np.sqrt((x2 - x1) * (y2 - y1))))

    def _place(self, head: Head, most_covered: float) -> Head:
        """Try places until the face is covered at most so much; otherwise the least covered place found."""
        hide = most_covered > 0.1  # look for a place half behind somebody
        box = replace(head, x=0.0, y=0.0).box()
        best, least = (head.x, head.y), np.inf
        for attempt in range(_TRIES):
            x, y = self._sample_place(2 * head.scale, attempt / _TRIES)
            if hide and self.people and attempt < _TRIES * 2 // 3:
                other = self.people[int(self.rng.integers(len(self.people)))].head
                reach = (other.scale + head.scale) * float(self.rng.choice([-1, 1]) * self.rng.uniform(0.5, 1.1))
                x = float(np.clip(other.x + reach, head.scale, self.width - head.scale))
                y = float(np.clip(other.y - other.scale * self.rng.uniform(0, 1), 1.3 * head.scale, self.height))
            share = self._covered_share(box + np.array([x, y, x, y]))
            if share < least:
                best, least = (x, y), share
            if share <= most_covered and (not hide or share > 0.08 or attempt > _TRIES * 2 // 3):
                best = (x, y)
                break
        return replace(head, x=best[0], y=best[1])

    def _sample_place(self, face: float, despair: float) -> tuple[float, float]:
        rng, height, width = self.rng, self.height, self.width
        near = face / self.enlarge
        if self.kind == "portrait":
            y = rng.uniform(0.32, 0.5) * height if near > 70 else rng.uniform(0.25, 0.5) * height
        elif self.kind == "group":
            y = height * (0.22 + 0.30 * np.clip(np.log2(near / 8) / 3.7, 0, 1) + rng.normal(0, 0.07))
        elif self.kind == "street":
            y = height * (0.34 + 0.22 * np.clip(np.log2(near / 5) / 3.7, 0, 1) + rng.normal(0, 0.03))
        else:
            y = height * (0.12 + 0.72 * np.clip(np.log2(near / 5) / 2.7, 0, 1) + rng.normal(0, 0.05))
        y += rng.normal(0, 0.25) * despair * height
        return (
            float(rng.uniform(face * 0.55 + 1, width - face * 0.55 - 1)),
            float(np.clip(y, face * 0.62 + 1, height - face * 0.55 - 2)),
        )

    def _covered_share(self, box: np.ndarray) -> float:
        x1, y1, x2, y2 = box
        part = self.covered[max(int(y1), 0) : int(np.ceil(y2)), max(int(x1), 0) : int(np.ceil(x2))]
        return float(part.mean()) if part.size else 1.0

    def _person(self, head: Head, view: str, cover: Cover | None) -> Person:
        rng = self.rng
        look = sample_look(rng)
        if cover is not None and cover.kind == "hand":
            cover = replace(cover, colour=look.skin)
        extreme = rng.random() < 0.04
        light = sample_light(rng, True) if extreme else self.light
        size = 2 * head.scale
        blur = float(
            rng.choice([0.0, rng.uniform(0.3, 0.6), min(0.05 * size, 5), min(0.1 * size, 7)], p=[0.6, 0.26, 0.1, 0.04])
        )
        tall = {"street": 11.5, "group": 11.5, "crowd": 5.0}.get(self.kind)  # crowds sit in rows
        return Person(head, look, light, view, tall, float(rng.normal(0, 0.12)), cover, blur)

    def _annotate(self, person: Person, invalid: bool) -> Face:
        head, look = person.head, person.look
        box = _whole_pixels(head.box(), self.height, self.width)
        size = float(np.sqrt(box[2] * box[3]))
        occlusion = occlusion_label(self._occlusion(person))
        labels = Attributes(
            blur=2 if invalid else blur_label(person.blur, size),
            expression=int(look.mouth_open > 0.55),
            illumination=int(person.light.ambient < 0.3 or person.light.ambient > 0.8),
            invalid=int(invalid),
            occlusion=occlusion,
            pose=int(abs(head.yaw) > 0.75 or abs(head.roll) > 0.6 or abs(head.pitch) > 0.4),
        )
        labelled = size >= MIN_LANDMARK_SIZE and occlusion < 2 and not invalid
        return Face(box, head.landmarks() if labelled else None, labels)

    def _occlusion(self, person: Person) -> float:
        """The share of the face hidden by nearer people and by its own cover, counted in pixels of a fine mask."""
        outline = person.head.outline
        low = outline.min(0)
        zoom = max(1.0, 40 / float(np.ptp(outline[:, 1])))
        face = _mask(outline, low, zoom)
        rows, columns = np.nonzero(face)
        x = np.clip(((columns + 0.5) / zoom + low[0]).astype(int), 0, self.width - 1)
        y = np.clip(((rows + 0.5) / zoom + low[1]).astype(int), 0, self.height - 1)
        hidden = self.covered[y, x] > 0
        if person.cover is not None:
            hidden |= _mask(person.cover.outline, low, zoom, face.shape)[rows, columns] > 0
        return float(hidden.mean())

    def _commit(self, person: Person) -> None:
        """Enter the person into the map of what hides those behind."""
        shapes = [outline for outline, _ in person.body_outlines(self.height)]
        shapes.append(person.head_silhouette())
        if person.cover is not None:
            shapes.append(person.cover.outline)
        for shape in shapes:
            corners = np.round(shape).astype(np.int32)
            cv2.fillPoly(self.covered, [corners], 1)
            if person.blur > 1:  # a blurred edge hides more than the outline
                cv2.polylines(self.covered, [corners], True, 1, round(2.5 * person.blur))
        self.people.append(person)


def _mask(outline: np.ndarray, origin: np.ndarray, zoom: float, shape: tuple[int, ...] | None = None) -> np.ndarray:
    points = (outline - origin) * zoom
    if shape is None:
        shape = (int(np.ceil(points[:, 1].max())) + 1, int(np.ceil(points[:, 0].max())) + 1)
    mask = np.zeros(shape, np.uint8)
    return cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)


def _whole_pixels(box: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """The box rounded to whole pixels inside the image, x, y, w, h, two pixels wide at least."""
    x1, y1 = max(round(box[0]), 0), max(round(box[1]), 0)
    x2, y2 = min(round(box[2]), width), min(round(box[3]), height)
    return x1, y1, max(x2 - x1, 2), max(y2 - y1, 2)
