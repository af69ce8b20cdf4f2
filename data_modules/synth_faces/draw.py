"""One image of the set, from its own random generator: independent of every other image, of order and of workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from .labels import AnnotatedImage
from .manifest import SYNTH_FACES_VERSION
from .plan import Scene, plan_scene
from .render import render

SPLITS = ("train", "val")

_JPEG_QUALITY = 92


def plan_image(seed: int, split: str, index: int) -> tuple[Scene, np.random.Generator]:
    """The plan of one image with its name, and the generator that goes on to paint it."""
    rng = np.random.default_rng([seed, SYNTH_FACES_VERSION, SPLITS.index(split), index])
    scene = plan_scene(rng, index)
    event = scene.image.event.replace("--", "_")
    return replace(scene, image=replace(scene.image, name=f"{event}_{split}_{index:05d}")), rng


def draw_image(seed: int, split: str, index: int) -> tuple[AnnotatedImage, np.ndarray]:
    """Annotations and picture uint8 [H, W, 3] (blue, green, red) of one image."""
    scene, rng = plan_image(seed, split, index)
    return scene.image, render(scene, rng)


def save_image(root: Path, seed: int, split: str, index: int) -> AnnotatedImage:
    """Draw one image into WIDER's folders below `root`; its annotations."""
    image, picture = draw_image(seed, split, index)
    path = root / f"WIDER_{split}" / "images" / image.event / f"{image.name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    path.write_bytes(encoded.tobytes())
    return image
