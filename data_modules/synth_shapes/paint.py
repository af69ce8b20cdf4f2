"""From the plan of a scene to its picture: ground, clutter, shapes, camera. No colour or texture tells a class."""

from __future__ import annotations

import cv2
import numpy as np

from data_modules.synth_faces.background import noise
from data_modules.synth_faces.canvas import Canvas, Colour, shaded
from data_modules.synth_faces.render import camera

from .outlines import Points
from .scene import Scene, Shape


def paint(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """The picture of a plan, uint8 [H, W, 3] in OpenCV's blue, green, red."""
    picture = _ground(rng, scene.height, scene.width)
    for _ in range(rng.integers(4, 14)):
        _clutter(rng, picture)
    crowd_colour = _colour(rng)
    for shape in scene.shapes:
        colour = shaded(crowd_colour, rng.uniform(0.7, 1.3)) if shape.group >= 0 else _colour(rng)
        _draw(rng, picture, shape, colour)
    return camera(picture, rng, float(rng.gamma(2.0, 2.0)))


def _colour(rng: np.random.Generator) -> Colour:
    blue, green, red = rng.uniform(20, 235, 3)
    return (float(blue), float(green), float(red))


def _ground(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A gradient between two colours under smooth noise."""
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    first, second = (np.array(_colour(rng), np.float32) * 0.6 + 50 for _ in range(2))
    texture = noise(rng, height, width)[..., None] * rng.uniform(8, 22)
    return np.clip(first * (1 - share) + second * share + texture, 0, 255).astype(np.uint8)


def _clutter(rng: np.random.Generator, picture: np.ndarray) -> None:
    """A line or an irregular blob, which are of no class."""
    height, width = picture.shape[:2]
    x, y, size = rng.uniform(0, width), rng.uniform(0, height), np.exp(rng.uniform(np.log(6), np.log(90)))
    if rng.random() < 0.5:
        ends = np.array([x, y]) + np.stack([np.zeros(2), rng.normal(0, 2 * size, 2)])
        canvas = Canvas.around(ends, 8, 1)
        canvas.stroke(ends, _colour(rng), float(rng.uniform(1, 6)))
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radii = size * rng.uniform(0.25, 1.0, 9)
        points = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1)
        canvas = Canvas.around(points, 2, 1)
        canvas.fill(points, _colour(rng))
    canvas.paste(picture)


def _draw(rng: np.random.Generator, picture: np.ndarray, shape: Shape, colour: Colour) -> None:
    """Fill, texture, shade, outline; the outline lies inside, so that nothing sticks out of the box."""
    canvas = Canvas.around(shape.points, 1, 4 if shape.radius < 12 else 2)
    canvas.fill(shape.points, colour)
    if shape.radius > 7:
        _texture(rng, canvas, shape, shaded(colour, float(rng.choice([0.55, 1.6]))))
    canvas.multiply(rng.uniform(0.7, 1.2, (2, 2, 1)) * np.ones((1, 1, 3)))
    if shape.radius > 10 and rng.random() < 0.5:
        middle = shape.points.mean(axis=0)
        canvas.soften(middle + 0.55 * (shape.points - middle), shaded(colour, 1.3), 0.35, 0.1 * shape.radius)
    canvas.paste(picture)


def _texture(rng: np.random.Generator, canvas: Canvas, shape: Shape, colour: Colour) -> None:
    """Stripes, dots or nothing, within what is painted."""
    kind, r = int(rng.integers(3)), shape.radius
    middle = shape.points.mean(axis=0)
    if kind == 0:
        angle, step = rng.uniform(0, np.pi), rng.uniform(0.25, 0.5) * r
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        for offset in np.arange(-1.3 * r, 1.3 * r, 2 * step):
            canvas.soften(_strip(middle + offset * across, along * 1.5 * r, across * step / 2), colour, 0.8, 0.02 * r)
    elif kind == 1:
        for place in rng.uniform(-0.9, 0.9, (9, 2)) * r:
            circle = np.asarray(cv2.ellipse2Poly((0, 0), (100, 100), 0, 0, 360, 40))
            dot = circle / 100 * 0.13 * r
            canvas.soften(middle + place + dot, colour, 0.8, 0.02 * r)


def _strip(middle: np.ndarray, along: np.ndarray, across: np.ndarray) -> Points:
    return np.array(
        [middle - along - across, middle + along - across, middle + along + across, middle - along + across]
    )
