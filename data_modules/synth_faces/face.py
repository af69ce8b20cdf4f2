"""One head, painted: a face, the back of a head, or a head without features (a thing almost like a face)."""

from __future__ import annotations

import math

import numpy as np

from .canvas import Canvas, shaded
from .features import draw_brows, draw_ears, draw_eyes, draw_mouth, draw_nose, draw_relief
from .hair import draw_beard, draw_glasses, draw_hair_behind, draw_hair_front, draw_hat, hairline
from .head import Head
from .look import Light, Look

_DRAWN_HEIGHT = 44  # a face is drawn at least this many pixels high, however small it ends up


def draw_head(head: Head, look: Look, light: Light, view: str, rng: np.random.Generator) -> Canvas:
    """Paint a head seen as `view`: "face", "back" (hair only) or "blank" (skin without features)."""
    supersample = int(np.clip(math.ceil(_DRAWN_HEIGHT / (2 * head.scale)), 1, 8))
    if 1 < supersample < 3 or (supersample == 1 and head.scale < 90):
        supersample = 2
    canvas = Canvas.around(head.skull_outline(1.3, 1.75, -1.75), 2 + 0.2 * head.scale, supersample)
    if view == "back":
        _draw_back(canvas, head, look, rng)
    else:
        _draw_front(canvas, head, look, rng, featured=view == "face")
    canvas.multiply(_shade(canvas, head, light))
    return canvas


def _draw_front(canvas: Canvas, head: Head, look: Look, rng: np.random.Generator, featured: bool) -> None:
    detail = head.scale > 9  # about 16 pixels of face
    draw_hair_behind(canvas, head, look, rng)
    if look.style in ("long", "bob"):  # the throat, before the hair that falls behind it
        throat = np.array([(-0.42, 0.4, 0.1), (0.42, 0.4, 0.1), (0.48, 1.6, -0.1), (-0.48, 1.6, -0.1)])
        canvas.fill(head.turn(throat), shaded(look.skin, 0.66))
    if look.style != "scarf":
        draw_ears(canvas, head, look)
    canvas.fill(head.skin_outline(hairline(look)), look.skin)
    if featured:
        draw_relief(canvas, head, look, detail)
        draw_beard(canvas, head, look)
        draw_eyes(canvas, head, look, float(np.clip(rng.normal(0, 0.4), -1, 1)))
        draw_brows(canvas, head, look)
        draw_nose(canvas, head, look)
        draw_mouth(canvas, head, look)
    draw_hair_front(canvas, head, look, rng)
    if featured:
        draw_glasses(canvas, head, look)
    draw_hat(canvas, head, look)


def _draw_back(canvas: Canvas, head: Head, look: Look, rng: np.random.Generator) -> None:
    canvas.fill(head.skull_outline(0.97, 0.85), shaded(look.skin, 0.8))
    draw_ears(canvas, head, look)
    draw_hair_behind(canvas, head, look, rng)
    if look.style != "bald":
        colour = look.second_cloth if look.style == "scarf" else look.hair
        canvas.fill(head.skull_outline(1.03, 0.6), shaded(colour, 0.95))


def _shade(canvas: Canvas, head: Head, light: Light) -> np.ndarray:
    """Lambert's law on an ellipsoid around the head, at a coarse grid: factors [h, w, 3]."""
    columns = np.linspace(canvas.left, canvas.left + canvas.width, 24)
    rows = np.linspace(canvas.top, canvas.top + canvas.height, 28)
    x, y = np.meshgrid(
        (columns - head.x) / (0.95 * head.scale), (rows - head.y + 0.2 * head.scale) / (1.3 * head.scale)
    )
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 0.0))
    length = np.maximum(np.sqrt(x**2 + y**2 + z**2), 1.0)
    direction = np.array(light.direction) / np.linalg.norm(light.direction)
    lambert = np.maximum((x * direction[0] + y * direction[1] + z * direction[2]) / length, 0.0)
    factor = light.ambient + light.strength * lambert
    shade: np.ndarray = factor[..., None] * (np.array(light.tint) / 255)
    return shade
