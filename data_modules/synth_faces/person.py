"""A person in a scene: head, body, perhaps something before the face; outlines to plan, strokes to paint."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import Canvas, Colour, ellipse, shaded
from .face import draw_head
from .head import Head
from .look import Light, Look


@dataclass(frozen=True)
class Cover:
    """Something in front of the face; `outline` [N, 2] in scene pixels."""

    kind: str  # hand, mask, microphone, board
    outline: np.ndarray
    colour: Colour


@dataclass(frozen=True)
class Person:
    """One person of a scene plan."""

    head: Head
    look: Look
    light: Light
    view: str  # face, back, blank
    tall: float | None  # the body ends so many head units below the face; None: below the picture
    lean: float  # shift of the shoulders, head units
    cover: Cover | None
    blur: float  # sigma, scene pixels

    def body_outlines(self, bottom: float) -> list[tuple[np.ndarray, Colour]]:
        """Polygons [N, 2] and their colours, back to front: legs, torso, neck. `bottom` is the scene's height."""
        head, look = self.head, self.look
        centre = np.array([head.x, head.y])
        foot = self.tall or (bottom - head.y) / head.scale + 1
        hip = min(5.6, foot)
        lean = self.lean
        half = [
            (0.42, 1.08), (0.95, 1.42), (1.62, 1.72), (1.92, 2.3), (2.05, 3.6), (2.0, 5.0),
            (1.55, 5.1), (1.25, hip),
        ]  # fmt: skip
        half = [(x, min(y, foot)) for x, y in half]
        torso = np.array([(lean + x, y) for x, y in half] + [(lean - x, y) for x, y in half[::-1]])
        neck = np.array([(-0.4, 0.4), (0.4, 0.4), (0.52 + lean, 1.55), (lean, 1.75), (-0.52 + lean, 1.55)])
        parts: list[tuple[np.ndarray, Colour]] = []
        if foot > hip:
            for side in (-1, 1):
                leg = np.array([(0.05, hip - 0.3), (1.25, hip - 0.3), (1.0, foot), (0.3, foot)]) * (side, 1) + (lean, 0)
                parts.append((leg, look.second_cloth))
        parts.append((torso, look.cloth))
        parts.append((neck, shaded(look.skin, 0.62)))
        return [(points * head.scale + centre, colour) for points, colour in parts]

    def head_silhouette(self) -> np.ndarray:
        """What the head with its hair and hat hides, roughly, [N, 2] scene pixels."""
        grow = 1.3 if self.look.style == "curly" or self.look.hat == "brim" else 1.1
        low = 1.6 if self.look.style in ("long", "scarf") else 0.9
        return self.head.skull_outline(grow, low)

    def draw(self, scene: np.ndarray, rng: np.random.Generator) -> None:
        """Paint the person over the scene uint8 [H, W, 3] in place."""
        body = self.body_outlines(scene.shape[0])
        gain = self.light.ambient + 0.5 * self.light.strength
        points = np.concatenate([part for part, _ in body])
        points = points.clip((-20, -20), (scene.shape[1] + 20, scene.shape[0] + 20))
        canvas = Canvas.around(points, 1, 2 if self.head.scale < 20 else 1)
        for outline, colour in body:
            canvas.fill(outline, colour)
        if self.head.scale > 7:
            self._draw_clothes(canvas, rng)
        canvas.multiply(np.full((2, 2, 3), gain) * (np.array(self.light.tint) / 255) * np.array([[[1.05]], [[0.8]]]))
        canvas.paste(scene, self.blur)
        draw_head(self.head, self.look, self.light, self.view, rng).paste(scene, self.blur)
        if self.cover is not None:
            draw_cover(self.cover, self.head.scale, gain).paste(scene, self.blur)

    def _draw_clothes(self, canvas: Canvas, rng: np.random.Generator) -> None:
        head, look, unit = self.head, self.look, self.head.scale
        origin = np.array([head.x + self.lean * unit, head.y])

        def at(points: list[tuple[float, float]]) -> np.ndarray:
            placed: np.ndarray = np.array(points) * unit + origin
            return placed

        for side in (-1, 1):
            fold = at([(side * 1.25, 2.4), (side * 1.3, 5.2), (side * 1.36, 5.2), (side * 1.38, 2.4)])
            canvas.soften(fold, shaded(look.cloth, 0.5), 0.8, 0.06 * unit)
        kind = rng.integers(4)
        if kind == 0:  # stripes
            for y in np.arange(2.2, 5.2, 0.55):
                canvas.soften(
                    at([(-1.9, y), (1.9, y), (1.9, y + 0.25), (-1.9, y + 0.25)]), look.second_cloth, 0.9, 0.02 * unit
                )
        elif kind == 1:  # a jacket with a shirt and a tie
            canvas.fill(at([(-0.5, 1.5), (0.5, 1.5), (0.0, 3.6)]), (232, 232, 230))
            canvas.fill(at([(-0.1, 1.75), (0.1, 1.75), (0.14, 3.1), (0.0, 3.3), (-0.14, 3.1)]), look.second_cloth)
        elif kind == 2:  # a print
            canvas.fill(ellipse(origin[0], origin[1] + 3.3 * unit, 0.6 * unit, 0.5 * unit, 14), look.second_cloth)
        neck = self.body_outlines(1e4)[-1][0]
        if kind != 1:
            canvas.fill(neck, shaded(look.skin, 0.66))


def sample_cover(rng: np.random.Generator, head: Head) -> Cover:
    """A hand over the mouth, a surgical mask, a microphone, a board: 15 to 50 % of the face."""
    kind = str(rng.choice(["hand", "mask", "microphone", "board"]))
    side = float(rng.choice([-1, 1]))
    if kind == "mask":
        flat = np.array(
            [
                (-0.7, 0.15),
                (0.0, 0.08),
                (0.7, 0.15),
                (0.62, 0.62),
                (0.3, 0.95),
                (0.0, 1.04),
                (-0.3, 0.95),
                (-0.62, 0.62),
            ]
        )
        outline = head.on_face(flat * (head.width, 1), 0.06)
        return Cover(kind, outline, (225.0, 215.0, 185.0) if rng.random() < 0.6 else (40.0, 38.0, 38.0))
    if kind == "microphone":
        ball = ellipse(side * 0.12, 0.72, 0.3, 0.33, 20)
        flat = np.concatenate([ball, [(side * 0.3, 2.6), (side * 0.1, 2.6)]])
        flat = cv2.convexHull(flat.astype(np.float32))[:, 0]
        colour: Colour = (46.0, 44.0, 44.0)
    elif kind == "hand":
        low = float(rng.uniform(0.15, 0.5))
        fingers = [(-0.5, 0.2), (-0.42, 0.0), (-0.1, -0.06), (0.25, 0.0), (0.5, 0.18)]
        palm = [(0.55, 0.9), (0.3, 1.3), (-0.3, 1.3)]
        flat = np.array([(x, y + low) for x, y in fingers] + palm) + np.array([side * 0.2, 0])
        colour = (0.0, 0.0, 0.0)  # replaced by the skin of the person
    else:
        top = float(rng.uniform(0.1, 0.5))
        flat = np.array([(-1.3, top), (1.3, top + side * 0.15), (1.3, 2.6), (-1.3, 2.6)])
        colour = (float(rng.uniform(30, 240)), float(rng.uniform(30, 240)), float(rng.uniform(30, 240)))
    return Cover(kind, flat * head.scale + (head.x, head.y), colour)


def draw_cover(cover: Cover, unit: float, gain: float) -> Canvas:
    """Paint what is held before the face."""
    canvas = Canvas.around(cover.outline, 2, 2 if unit > 20 else 4)
    canvas.fill(cover.outline, shaded(cover.colour, gain))
    low, high = cover.outline.min(0), cover.outline.max(0)
    middle = (low + high) / 2
    if cover.kind == "hand":
        for share in (0.22, 0.4, 0.58):
            y = low[1] + share * (high[1] - low[1])
            line = np.array(
                [(low[0] + 0.1 * unit, y), (middle[0], y - 0.05 * unit), (high[0] - 0.25 * unit, y + 0.03 * unit)]
            )
            canvas.stroke(line, shaded(cover.colour, 0.6 * gain), 0.03 * unit)
    elif cover.kind == "mask":
        for share in (0.35, 0.5, 0.65):
            y = low[1] + share * (high[1] - low[1])
            pleat = np.array([(low[0] + 0.12 * unit, y), (middle[0], y + 0.04 * unit), (high[0] - 0.12 * unit, y)])
            canvas.stroke(pleat, shaded(cover.colour, 0.8 * gain), 0.02 * unit)
    elif cover.kind == "board":
        for share in (0.2, 0.35, 0.5):
            y = low[1] + share * (high[1] - low[1])
            canvas.stroke(
                np.array([(low[0] + 0.3 * unit, y), (high[0] - 0.4 * unit, y)]), shaded(cover.colour, 0.4), 0.07 * unit
            )
    return canvas
