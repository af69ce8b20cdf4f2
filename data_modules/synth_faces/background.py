"""Places: walls, facades, parks, stages, streets; textured, lit and cluttered so that no colour alone says "face"."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import Colour, shaded
from .look import cloth_colour

_WALLS: list[Colour] = [
    (150, 170, 190),
    (120, 140, 150),
    (190, 200, 205),
    (90, 100, 120),
    (110, 150, 190),
    (140, 120, 100),
]


def noise(rng: np.random.Generator, height: int, width: int, coarsest: int = 4, octaves: int = 5) -> np.ndarray:
    """Smooth noise over several octaves, float32 [H, W], roughly -1..1."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cells = min(coarsest * 2**octave, 128)
        grid = rng.uniform(-1, 1, (max(cells * height // width, 2), cells)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return total


def draw_background(rng: np.random.Generator, height: int, width: int, kind: str, horizon: float) -> np.ndarray:
    """A place that suits the kind of scene, uint8 [H, W, 3]."""
    indoor = {"portrait": 0.6, "group": 0.5, "street": 0.0, "crowd": 0.3}[kind]
    if kind == "crowd" and rng.random() < 0.75:
        scene = _stands(rng, height, width)
    elif rng.random() < indoor:
        scene = _wall(rng, height, width) if rng.random() < 0.6 else _stage(rng, height, width)
    else:
        scene = _outdoors(rng, height, width, int(horizon * height))
    texture = noise(rng, height, width)[..., None] * rng.uniform(6, 16)
    scene = np.clip(scene.astype(np.float32) + texture, 0, 255).astype(np.uint8)
    if kind == "portrait" and rng.random() < 0.6:
        scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(2, 6))
    return scene


def _gradient(height: int, width: int, top: Colour, bottom: Colour) -> np.ndarray:
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    column = np.asarray(top, np.float32) * (1 - share) + np.asarray(bottom, np.float32) * share
    return np.broadcast_to(column, (height, width, 3)).astype(np.uint8).copy()


def _wall(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    base = _WALLS[int(rng.integers(len(_WALLS)))] if rng.random() < 0.6 else cloth_colour(rng)
    scene = _gradient(height, width, shaded(base, rng.uniform(0.8, 1.1)), shaded(base, rng.uniform(0.5, 0.9)))
    if rng.random() < 0.35:
        _bricks(rng, scene, (0, 0, width, height))
    for _ in range(rng.integers(1, 6)):  # pictures, doors, shelves
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(30, 170, 2)
        frame = cloth_colour(rng)
        cv2.rectangle(scene, (int(x), int(y)), (int(x + w), int(y + h)), shaded(frame, 0.5), -1)
        inside = (int(x + 4), int(y + 4)), (int(x + w - 4), int(y + h - 4))
        cv2.rectangle(scene, *inside, frame, -1)
        for _ in range(rng.integers(0, 7)):
            centre = (int(rng.integers(x, x + w)), int(rng.integers(y, y + h)))
            cv2.circle(scene, centre, int(rng.integers(3, 16)), cloth_colour(rng), -1, cv2.LINE_AA)
    return scene


def _stands(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Rows of seats that grow towards the viewer, as in a stadium."""
    base = cloth_colour(rng)
    scene = _gradient(height, width, shaded(base, 0.6), shaded(base, 1.0))
    y, step = float(rng.uniform(0.02, 0.2)) * height, float(rng.uniform(8, 14))
    while y < height:
        cv2.rectangle(scene, (0, int(y)), (width, int(y + step * 0.3)), shaded(base, rng.uniform(0.35, 0.5)), -1)
        for x in np.arange(rng.uniform(-step, 0), width, step * 1.3):
            seat = (int(x), int(y - step * 0.5)), (int(x + step), int(y))
            cv2.rectangle(scene, *seat, shaded(base, rng.uniform(0.8, 1.25)), -1)
        y, step = y + step * 1.15, step * 1.07
    return scene


def _stage(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    base = cloth_colour(rng)
    scene = _gradient(height, width, shaded(base, 0.35), shaded(base, 0.7))
    for x in range(0, width, int(rng.integers(12, 40))):  # curtain
        cv2.line(
            scene, (x, 0), (x + int(rng.integers(-6, 7)), height), shaded(base, rng.uniform(0.3, 0.9)), 5, cv2.LINE_AA
        )
    scene = cv2.GaussianBlur(scene, (0, 0), 3)
    glow = np.zeros((height // 4, width // 4, 3), np.float32)
    for _ in range(rng.integers(4, 16)):
        centre = (int(rng.integers(0, width // 4)), int(rng.integers(0, height // 5)))
        colour = shaded(cloth_colour(rng), rng.uniform(1, 2))
        cv2.circle(glow, centre, int(rng.integers(2, 14)), colour, -1, cv2.LINE_AA)
    wide_glow = cv2.resize(cv2.GaussianBlur(glow, (0, 0), 1.5), (width, height))
    return np.minimum(scene + 0.7 * wide_glow, 255).astype(np.uint8)


def _outdoors(rng: np.random.Generator, height: int, width: int, horizon: int) -> np.ndarray:
    sky: Colour = [(235, 205, 160), (225, 220, 215), (200, 190, 180), (150, 180, 235)][int(rng.integers(4))]
    scene = _gradient(height, width, shaded(sky, 0.85), shaded(sky, 1.08))
    if rng.random() < 0.6:
        _houses(rng, scene, horizon)
    if rng.random() < 0.6:
        _foliage(rng, scene, horizon)
    ground: Colour = [(92, 98, 102), (70, 118, 88), (120, 150, 170), (130, 130, 132)][int(rng.integers(4))]
    scene[horizon:] = _gradient(height - horizon, width, shaded(ground, 0.85), shaded(ground, 1.1))
    speckle = rng.normal(0, 9, ((height - horizon) // 2 + 1, width // 2 + 1, 1)).astype(np.float32)
    fine = cv2.resize(speckle, (width, height - horizon))[..., None]
    scene[horizon:] = np.clip(scene[horizon:] + fine, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(0, 5)):  # lanes, kerbs, shadows
        y = int(rng.integers(horizon, height))
        cv2.line(
            scene,
            (0, y),
            (width, y + int(rng.integers(-40, 40))),
            shaded(ground, rng.uniform(0.7, 1.4)),
            3,
            cv2.LINE_AA,
        )
    return scene


def _houses(rng: np.random.Generator, scene: np.ndarray, horizon: int) -> None:
    x = 0
    while x < scene.shape[1]:
        wide, top = int(rng.integers(60, 220)), int(rng.integers(0, max(horizon - 40, 1)))
        colour = _WALLS[int(rng.integers(len(_WALLS)))] if rng.random() < 0.7 else cloth_colour(rng)
        cv2.rectangle(scene, (x, top), (x + wide, horizon), colour, -1)
        if rng.random() < 0.4:
            _bricks(rng, scene, (x, top, x + wide, horizon))
        step, size = int(rng.integers(16, 36)), int(rng.integers(7, 15))
        pane = shaded(colour, rng.uniform(0.3, 0.6)) if rng.random() < 0.7 else (170.0, 225.0, 240.0)
        for wy in range(top + 8, horizon - size, step):
            for wx in range(x + 6, x + wide - size, step):
                cv2.rectangle(
                    scene, (wx, wy), (wx + size, wy + int(size * 1.4)), shaded(pane, rng.uniform(0.8, 1.2)), -1
                )
        x += wide


def _bricks(rng: np.random.Generator, scene: np.ndarray, box: tuple[int, int, int, int]) -> None:
    x1, y1, x2, y2 = box
    high, long = int(rng.integers(6, 14)), int(rng.integers(16, 34))
    part = scene[y1:y2, x1:x2]
    if part.size == 0:
        return
    mortar = np.clip(part[0, 0].astype(int) + 35, 0, 255).astype(np.uint8)
    rows, columns = np.arange(part.shape[0]), np.arange(part.shape[1])
    odd = (rows // high % 2)[:, None] * (long // 2)
    part[(rows % high == 0)[:, None] | ((columns[None] + odd) % long == 0)] = mortar


def _foliage(rng: np.random.Generator, scene: np.ndarray, horizon: int) -> None:
    width = scene.shape[1]
    base: Colour = (45.0, float(rng.uniform(80, 120)), float(rng.uniform(50, 110)))
    for _ in range(rng.integers(2, 7)):
        centre = np.array([rng.integers(0, width), horizon - rng.integers(10, max(horizon // 2, 11))])
        spread = rng.uniform(20, 75)
        cv2.line(
            scene,
            (int(centre[0]), int(centre[1])),
            (int(centre[0]), horizon + 8),
            (40, 55, 70),
            max(2, int(spread / 8)),
        )
        for _ in range(60):
            leaf = centre + rng.normal(0, spread / 2, 2)
            radius = int(rng.uniform(0.06, 0.2) * spread) + 1
            cv2.circle(
                scene, (int(leaf[0]), int(leaf[1])), radius, shaded(base, rng.uniform(0.5, 1.6)), -1, cv2.LINE_AA
            )
