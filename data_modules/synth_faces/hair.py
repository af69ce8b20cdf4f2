"""Hair, beards, hats, head scarves and glasses."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas, Colour, ellipse, mixed, shaded
from .head import EYE_X, EYE_Y, MOUTH_X, MOUTH_Y, Head
from .look import Look

_VOLUME = {
    "short": 1.05,
    "parted": 1.07,
    "fringe": 1.08,
    "long": 1.1,
    "bob": 1.13,
    "curly": 1.2,
    "bun": 1.05,
    "receding": 1.02,
}


def hairline(look: Look) -> float:
    """Height of the hairline in head units; the skin below it is visible."""
    return {"receding": -1.12, "bald": -1.3, "fringe": -0.85, "scarf": -0.8}.get(look.style, -0.95)


def draw_hair_behind(canvas: Canvas, head: Head, look: Look, rng: np.random.Generator) -> None:
    """What the face covers: the mass of the hair, long hair down to the shoulders, the back of a scarf."""
    if look.style == "bald":
        canvas.fill(head.skull_outline(), shaded(look.skin, 0.97))
        return
    colour = look.second_cloth if look.style == "scarf" else look.hair
    if look.style in ("long", "bob", "scarf"):
        low = {"long": 1.75, "bob": 0.95, "scarf": 1.45}[look.style]
        fall = np.array(
            [
                [-0.75, -0.9],
                [-0.98, -0.2],
                [-0.95, 0.5],
                [-0.8, low],
                [0.8, low],
                [0.95, 0.5],
                [0.98, -0.2],
                [0.75, -0.9],
            ]
        )
        points = np.concatenate([fall * (head.width, 1), np.full((len(fall), 1), -0.25)], 1)
        canvas.fill(head.turn(points), shaded(colour, 0.72))
    if look.style == "bun":
        knot = ellipse(0, -1.4, 0.3, 0.26, 18)
        canvas.fill(head.turn(np.concatenate([knot, np.full((18, 1), -0.5)], 1)), shaded(colour, 0.85))
    if look.style == "curly":
        _draw_curls(canvas, head, colour, rng)
    canvas.fill(head.skull_outline(_VOLUME.get(look.style, 1.1), 0.25), colour)
    if head.scale > 9 and look.style != "scarf":
        _draw_strands(canvas, head, colour, rng)


def _draw_curls(canvas: Canvas, head: Head, colour: Colour, rng: np.random.Generator) -> None:
    for angle in np.linspace(-np.pi * 1.15, np.pi * 0.15, 15):
        x, y = 0.88 * np.cos(angle), -0.45 + 0.92 * np.sin(angle)
        curl = ellipse(x, y, 0.24, 0.24, 12) + rng.normal(0, 0.03, 2)
        canvas.fill(head.turn(np.concatenate([curl, np.full((12, 1), -0.2)], 1)), shaded(colour, rng.uniform(0.8, 1.1)))


def _draw_strands(canvas: Canvas, head: Head, colour: Colour, rng: np.random.Generator) -> None:
    start = np.array([rng.uniform(-0.3, 0.3), -1.36])
    for _ in range(22):
        end = np.array([rng.uniform(-0.72, 0.72), rng.uniform(-0.8, -0.25)])
        middle = (start + end) / 2 + ((end[0] - start[0]) * 0.12, -0.08)
        line = np.stack([start + np.array([rng.normal(0, 0.1), 0.02]), middle, end])
        depth = 0.35 * np.sqrt(np.maximum(1 - line[:, 0] ** 2, 0))
        points = head.turn(np.concatenate([line, depth[:, None]], 1))
        canvas.fill(_ribbon(points, 0.03 * head.scale), shaded(colour, rng.choice([0.82, 1.2])))


def _ribbon(line: np.ndarray, width: float) -> np.ndarray:
    across = np.array([width, width * 0.5])
    return np.concatenate([line - across / 2, line[::-1] + across / 2])


def draw_hair_front(canvas: Canvas, head: Head, look: Look, rng: np.random.Generator) -> None:
    """What covers the face: the cap of hair above the forehead, sideburns, a fringe, a parting, a scarf's edge."""
    colour = look.second_cloth if look.style == "scarf" else look.hair
    if look.style in ("bald", "receding"):
        return
    x = np.linspace(-1, 1, 19)
    wide = 0.77 * head.width
    edge = {
        "fringe": -0.5 + 0.09 * x**2,
        "parted": -0.92 + 0.35 * np.abs(x - 0.35) ** 1.5,
        "scarf": -0.8 + 0.35 * x**4,
        "curly": -0.8 + 0.28 * x**2 + 0.05 * np.sin(9 * x),
    }.get(look.style, -0.88 + 0.42 * np.abs(x) ** 3)
    if look.style == "fringe":
        edge = edge + rng.uniform(-0.05, 0.05, x.size)
    lower = np.stack([x * wide, edge], 1)
    top = np.stack([x[::-1] * wide * 0.8, np.full(x.size, -1.2) + 0.15 * x**2], 1)
    canvas.fill(np.concatenate([head.on_face(lower, 0.03), head.on_face(top, 0.03)]), shaded(colour, 1.05))
    for sign in (-1, 1):
        _draw_side(canvas, head, look.style, colour, sign)
    if head.scale < 9:
        return
    shadow = np.concatenate([np.stack([x * wide * 0.85, edge], 1), np.stack([x * wide * 0.85, edge + 0.08], 1)[::-1]])
    canvas.soften(head.on_face(shadow), shaded(look.skin, 0.45), 0.4, 0.04 * head.scale)


def _draw_side(canvas: Canvas, head: Head, style: str, colour: Colour, sign: int) -> None:
    """Sideburns, or the locks that frame the face and hide the ear."""
    low = {"long": 1.6, "bob": 0.92, "scarf": 1.0}.get(style)
    if low is None:
        height = np.array([-0.95, -0.6, -0.25, 0.1])
        inner = np.array([0.8, 0.82, 0.88, 0.95])
        wide = head.half_width(height)
        strip = head.on_face(np.stack([sign * inner * wide, height], 1))
        behind = np.stack([sign * wide, height, np.full(4, -0.15)], 1)  # hair goes on beyond the edge of the face
        border = head.on_face(behind[:, :2]) if sign * head.yaw > 0.1 else head.turn(behind)
        canvas.fill(np.concatenate([strip, border[::-1]]), shaded(colour, 0.92))
        return
    if sign * head.yaw > 0.5:  # hidden behind the cheek
        return
    near = sign * head.yaw < -0.15  # turned to the viewer: the lock lies over the side of the head
    lock = [
        (0.5, -1.0),
        (0.66, -0.6),
        (0.69, 0.0),
        (0.66, 0.5),
        (0.72, low),
        (1.0, low),
        (0.98, 0.2),
        (0.9, -0.6),
        (0.7, -1.1),
    ]
    depth = 0.15 if near else 0.05
    points = np.array([(x * sign * head.width, y, depth) for x, y in lock])
    canvas.fill(head.turn(points), shaded(colour, 0.9))
    inner_lock = points[1:5] * (0.97, 1, 1)
    canvas.soften(
        head.turn(np.concatenate([points[1:5], inner_lock[::-1]])), shaded(colour, 0.5), 0.5, 0.04 * head.scale
    )


def draw_beard(canvas: Canvas, head: Head, look: Look) -> None:
    """Stubble, a moustache, or a full beard; painted before the mouth."""
    if look.beard == "none":
        return
    unit, colour = head.scale, mixed(look.hair, look.skin, 0.15)
    if look.beard in ("stubble", "full"):
        height = np.linspace(0.1, 0.97, 10)
        outer = np.stack([head.half_width(height) * 0.97, height], 1)
        inner = np.array([[0.0, 0.42], [0.22, 0.44], [0.42, 0.42], [0.6, 0.1]]) * (head.width, 1)
        half = np.concatenate([inner, outer])
        outline = np.concatenate([half, half[::-1] * (-1, 1)])
        canvas.soften(head.on_face(outline), colour, 0.32 if look.beard == "stubble" else 0.88, 0.035 * unit)
    if look.beard in ("moustache", "full"):
        x = np.linspace(-1, 1, 11)
        upper = np.stack([x * MOUTH_X * 1.15, 0.40 + 0.1 * x**2], 1)
        lower = np.stack([x * MOUTH_X * 1.2, MOUTH_Y - 0.05 + 0.06 * x**2], 1)
        canvas.soften(head.on_face(np.concatenate([upper, lower[::-1]]), 0.02), colour, 0.95, 0.015 * unit)


def draw_glasses(canvas: Canvas, head: Head, look: Look) -> None:
    """Rims and temples; dark lenses for sun glasses."""
    if look.glasses == "none":
        return
    frame, unit = shaded(look.second_cloth, 0.35), head.scale
    for side in (-1, 1):
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        square = (
            np.sign(np.stack([np.cos(angle), np.sin(angle)], 1))
            * np.abs(np.stack([np.cos(angle), np.sin(angle)], 1)) ** 0.7
        )
        lens = square * (0.24, 0.17) + (side * EYE_X * head.width, EYE_Y + 0.02)
        points = head.on_face(lens, 0.06)
        if look.glasses == "sun":
            canvas.fill(points, (30, 24, 24))
            canvas.soften(head.on_face(lens * (1, 0.4) - (0.03, 0.1), 0.06), (140, 130, 120), 0.35, 0.03 * unit)
        canvas.stroke(points, frame, 0.03 * unit, closed=True)
        temple = np.array([[side * 0.56, EYE_Y - 0.02], [side * 0.75, EYE_Y - 0.04]]) * (head.width, 1)
        canvas.stroke(head.on_face(temple, 0.04), frame, 0.03 * unit)
    bridge = np.array([[-0.1, EYE_Y], [0.0, EYE_Y - 0.03], [0.1, EYE_Y]])
    canvas.stroke(head.on_face(bridge, 0.1), frame, 0.035 * unit)


def draw_hat(canvas: Canvas, head: Head, look: Look) -> None:
    """A cap with its visor, a beanie, or a brimmed hat, all above the eyebrows."""
    if look.hat == "none":
        return
    colour = look.second_cloth
    canvas.fill(head.skull_outline(1.12, -0.55), colour)
    x = np.linspace(-1, 1, 15)
    if look.hat == "beanie":
        band = np.concatenate(
            [np.stack([x * 0.76, -0.55 - 0.06 * x**2], 1), np.stack([x[::-1] * 0.74, -0.8 + 0.0 * x], 1)]
        )
        canvas.fill(head.on_face(band, 0.1), shaded(colour, 0.75))
        return
    reach = 0.42 if look.hat == "cap" else 0.3
    wide = 0.62 if look.hat == "cap" else 1.35
    depth = np.sqrt(np.maximum(1 - x**2, 0)) * reach + (0.75 if look.hat == "cap" else 0.5)
    front = head.turn(np.stack([x * wide, np.full(x.size, -0.5), depth], 1))
    back = head.turn(np.stack([x[::-1] * wide, np.full(x.size, -0.64), np.full(x.size, 0.5)], 1))
    canvas.fill(np.concatenate([front, back]), shaded(colour, 0.7))
    shadow = np.stack([x * 0.6, -0.42 + 0.04 * x**2], 1)
    canvas.soften(
        head.on_face(np.concatenate([shadow, shadow[::-1] - (0, 0.1)])), shaded(look.skin, 0.4), 0.45, 0.05 * head.scale
    )
