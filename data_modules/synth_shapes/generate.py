"""Draw the whole set: images, annotation files, and last of all the manifest that says it is complete."""

from __future__ import annotations

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from filelock import FileLock

from .outlines import CLASS_NAMES
from .paint import paint
from .scene import Scene, plan_scene

SYNTH_SHAPES_VERSION = 1
SPLITS = ("train", "val")
MANIFEST = "synth_shapes.json"

_JPEG_QUALITY = 92
_log = logging.getLogger(__name__)


def draw_image(seed: int, split: str, index: int) -> tuple[Scene, np.ndarray]:
    """Plan and picture uint8 [H, W, 3] (blue, green, red) of one image, independent of every other."""
    rng = np.random.default_rng([seed, SYNTH_SHAPES_VERSION, SPLITS.index(split), index])
    scene = plan_scene(rng, index)
    return scene, paint(scene, rng)


def generate(root: Path, seed: int = 0, train_images: int = 320, val_images: int = 96) -> None:
    """Draw the set below `root` in COCO's layout, unless a complete one of this kind is already there.

    The bytes depend on seed and version alone. A set that was left half written, or is of another version, seed or
    size, is drawn again. Safe to call from several processes at once.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".synth_shapes.lock"):
        if is_complete(root, seed, train_images, val_images):
            return
        (root / MANIFEST).unlink(missing_ok=True)
        for split, count in zip(SPLITS, (train_images, val_images), strict=True):
            _draw_split(root, seed, split, count)
        partial_file = root / f"{MANIFEST}.partial"
        partial_file.write_text(json.dumps(_identity(seed, train_images, val_images), indent=2) + "\n")
        partial_file.replace(root / MANIFEST)


def is_complete(root: Path, seed: int, train_images: int, val_images: int) -> bool:
    """Whether `root` holds a finished set of this version, seed and size."""
    try:
        return bool(json.loads((root / MANIFEST).read_text()) == _identity(seed, train_images, val_images))
    except (OSError, ValueError):
        return False


def _identity(seed: int, train_images: int, val_images: int) -> dict[str, int]:
    return {"version": SYNTH_SHAPES_VERSION, "seed": seed, "train_images": train_images, "val_images": val_images}


def _draw_split(root: Path, seed: int, split: str, count: int) -> None:
    _log.info("synth_shapes: drawing %d %s images below %s", count, split, root)
    start, folder = time.perf_counter(), root / f"{split}2017"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(count):
        scene, picture = draw_image(seed, split, index)
        name = f"{index + 1:012d}.jpg"
        encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        (folder / name).write_bytes(encoded.tobytes())
        images.append({"id": index + 1, "file_name": name, "height": scene.height, "width": scene.width})
        annotations += _entries(scene, index + 1, len(annotations))
    categories = [{"id": label + 1, "name": name, "supercategory": "shape"} for label, name in enumerate(CLASS_NAMES)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    path = root / "annotations" / f"instances_{split}2017.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))
    _log.info("synth_shapes: %s done in %.1f s", split, time.perf_counter() - start)


def _entries(scene: Scene, image_id: int, before: int) -> list[dict[str, Any]]:
    """The annotations of an image, numbered on from `before`; without segmentation."""
    return [
        {
            "id": before + number,
            "image_id": image_id,
            "category_id": found.label + 1,
            "bbox": list(found.box),
            "area": found.area,
            "iscrowd": int(found.crowd),
        }
        for number, found in enumerate(scene.objects, start=1)
    ]
