"""From the plan of a scene to its picture: place, clutter, people, and then the camera."""

from __future__ import annotations

import cv2
import numpy as np

from .background import draw_background
from .distractors import draw_distractors
from .plan import Scene
from .scales import EVENTS

_KIND = {event: kind for kind, event in EVENTS.items()}


def render(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """The picture of a plan, uint8 [H, W, 3] in OpenCV's blue, green, red."""
    height, width, kind = scene.image.height, scene.image.width, _KIND[scene.image.event]
    picture = draw_background(rng, height, width, kind, scene.horizon)
    draw_distractors(picture, rng, int(rng.integers(2, 9)))
    for person in scene.people:
        person.draw(picture, rng)
    return camera(picture, rng, scene.sensor_noise)


def camera(picture: np.ndarray, rng: np.random.Generator, sensor_noise: float) -> np.ndarray:
    """Exposure, white balance, gamma, a slight blur and the noise of a sensor."""
    height, width = picture.shape[:2]
    balance = rng.normal(1, 0.05, 3) * rng.uniform(0.8, 1.15)
    gamma = rng.uniform(0.75, 1.2)
    table = np.arange(256)[:, None] * balance  # [256, 3]
    table = (255 * np.clip(table / 255, 0, 1) ** gamma).astype(np.uint8)
    picture = cv2.LUT(picture, table[None])
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.35, 0.7)))
    grain = np.empty((height, width, 3), np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31 - 1)))
    cv2.randn(grain, np.zeros(3), np.full(3, max(sensor_noise, 1.0)))
    return cv2.add(picture, grain, dtype=cv2.CV_8U)
