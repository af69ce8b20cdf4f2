"""Things that look almost like faces, and are not: balls, clocks, sockets, cars, lamps, masks of nothing, lettering.

None of them is annotated. They stand behind the people, so they never change a label.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Canvas, ellipse, mixed, shaded
from .look import cloth_colour, skin_colour

Drawer = Callable[[Canvas, np.random.Generator, float, float, float], None]
_INK = (40.0, 36.0, 34.0)


def draw_distractors(scene: np.ndarray, rng: np.random.Generator, count: int) -> None:
    """Scatter `count` things over the scene uint8 [H, W, 3] in place."""
    height, width = scene.shape[:2]
    for _ in range(count):
        radius = float(np.exp(rng.uniform(np.log(5), np.log(60))))
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        corners = np.array([[x - 1.6 * radius, y - 1.6 * radius], [x + 1.6 * radius, y + 1.6 * radius]])
        canvas = Canvas.around(corners, 1, 3 if radius < 20 else 2)
        _DRAWERS[int(rng.integers(len(_DRAWERS)))](canvas, rng, x, y, radius)
        across = rng.uniform(0.55, 1.15, (1, 2, 1)) * np.ones((2, 1, 3))
        canvas.multiply(across)
        canvas.paste(scene, float(rng.choice([0.0, 0.5, 0.05 * radius])))


def _ball(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float) -> None:
    colour = cloth_colour(rng)
    canvas.fill(ellipse(x, y, r, r), colour)
    canvas.soften(ellipse(x - r * 0.3, y - r * 0.35, r * 0.35, r * 0.3), shaded(colour, 1.6), 0.8, 0.2 * r)
    for angle in np.linspace(0, 2 * np.pi, 5, endpoint=False):
        canvas.fill(
            ellipse(x + 0.62 * r * np.cos(angle), y + 0.62 * r * np.sin(angle), 0.18 * r, 0.18 * r, 6),
            shaded(colour, 0.4),
        )


def _clock(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float) -> None:
    canvas.fill(ellipse(x, y, r, r), shaded(cloth_colour(rng), 0.6))
    canvas.fill(ellipse(x, y, 0.86 * r, 0.86 * r), (225, 232, 236))
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        canvas.fill(ellipse(x + 0.7 * r * np.cos(angle), y + 0.7 * r * np.sin(angle), 0.06 * r, 0.06 * r, 6), _INK)
    for length in (0.45, 0.65):
        angle = rng.uniform(0, 2 * np.pi)
        tip = (x + length * r * np.cos(angle), y + length * r * np.sin(angle))
        canvas.stroke(np.array([(x, y), tip]), _INK, 0.07 * r)


def _skin_oval(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float) -> None:
    """Colour and outline of a face, nothing in it."""
    skin = skin_colour(rng)
    canvas.fill(ellipse(x, y, r * rng.uniform(0.6, 0.9), r), skin)
    canvas.soften(ellipse(x, y - 0.3 * r, 0.4 * r, 0.4 * r), shaded(skin, 1.25), 0.6, 0.25 * r)


def _hand(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float) -> None:
    skin = skin_colour(rng)
    for angle in (-2.4, -1.95, -1.6, -1.25, -0.5):
        tip = np.array([x + 1.2 * r * np.cos(angle), y + 1.2 * r * np.sin(angle)])
        canvas.stroke(np.array([(x, y), tip]), skin, 0.26 * r)
    canvas.fill(ellipse(x, y + 0.1 * r, 0.48 * r, 0.55 * r), skin)
    canvas.stroke(np.array([(x, y), (x - 0.1 * r, y + 1.5 * r)]), skin, 0.55 * r)


def _socket(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float) -> None:
    """A wall socket: two round eyes and, sometimes, a mouth."""
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * r * 0.9 + (x, y)
    canvas.fill(square, (228, 232, 234))
    canvas.stroke(square, (150, 155, 160), 0.05 * r, closed=True)
    for side in (-1, 1):
        canvas.fill(ellipse(x + side * 0.38 * r, y - 0.12 * r, 0.15 * r, 0.2 * r, 14), _INK)
    if rng.random() < 0.5:
        canvas.fill(ellipse(x, y + 0.42 * r, 0.14 * r, 0.14 * r, 12), _INK)


def _car(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float) -> None:
    """The front of a car: lamps for eyes and a grille for a mouth."""
    colour = cloth_colour(rng)
    body = np.array(
        [(-1.4, 0.8), (-1.4, 0.0), (-0.95, -0.2), (-0.7, -0.8), (0.7, -0.8), (0.95, -0.2), (1.4, 0.0), (1.4, 0.8)]
    )
    canvas.fill(body * r + (x, y), colour)
    screen = np.array([(-0.8, -0.2), (-0.6, -0.7), (0.6, -0.7), (0.8, -0.2)]) * r + (x, y)
    canvas.fill(screen, (90, 80, 70))
    for side in (-1, 1):
        canvas.fill(ellipse(x + side * 0.98 * r, y + 0.15 * r, 0.24 * r, 0.17 * r), (235, 245, 250))
        canvas.fill(ellipse(x + side * 0.98 * r, y + 0.95 * r, 0.24 * r, 0.25 * r), (25, 25, 25))
    canvas.fill(np.array([(-0.6, 0.2), (0.6, 0.2), (0.5, 0.55), (-0.5, 0.55)]) * r + (x, y), (40, 40, 40))


def _lamp(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float) -> None:
    canvas.stroke(np.array([(x, y), (x, y + 1.5 * r)]), _INK, 0.12 * r)
    canvas.fill(ellipse(x, y, 0.75 * r, 0.75 * r), mixed((200, 235, 250), cloth_colour(rng), 0.25))


def _lettering(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float) -> None:
    ground = cloth_colour(rng)
    canvas.fill(np.array([(-1.5, -0.8), (1.5, -0.8), (1.5, 0.8), (-1.5, 0.8)]) * r + (x, y), ground)
    ink = shaded(ground, 0.3) if sum(ground) > 360 else (235.0, 235.0, 235.0)
    for row in (-0.45, 0.0, 0.45):
        for column in np.arange(-1.25, 1.2, 0.3):
            if rng.random() < 0.85:
                letter = rng.uniform(-0.11, 0.11, (4, 2)) * (1, 1.4) + (column, row)
                canvas.stroke(letter * r + (x, y), ink, 0.05 * r)


def _mask_upside_down(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float) -> None:
    """Dark spots on skin in the wrong order: a mouth above, three eyes below."""
    skin = skin_colour(rng)
    canvas.fill(ellipse(x, y, 0.78 * r, r), skin)
    canvas.fill(ellipse(x, y - 0.5 * r, 0.3 * r, 0.08 * r, 14), shaded(skin, 0.35))
    for side in (-1, 0, 1):
        canvas.fill(ellipse(x + side * 0.36 * r, y + 0.4 * r, 0.1 * r, 0.1 * r, 12), shaded(skin, 0.25))


_DRAWERS: tuple[Drawer, ...] = (
    _ball, _clock, _skin_oval, _skin_oval, _hand, _hand, _socket, _car, _lamp, _lettering, _lettering,
    _mask_upside_down,
)  # fmt: skip
