"""Draw the whole data set: images in parallel, annotations, and last of all the manifest that says it is complete."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path

from filelock import FileLock

from .draw import SPLITS, save_image
from .labels import AnnotatedImage
from .manifest import MANIFEST, identity, is_complete, write_manifest
from .wider_layout import write_annotations
from .worker import draw_in_processes

_IMAGES_A_WORKER = 12  # starting a process pays from about so many images
_log = logging.getLogger(__name__)


def generate(
    root: Path, seed: int = 0, train_images: int = 320, val_images: int = 96, workers: int | None = None
) -> None:
    """Draw the data set below `root` in WIDER FACE's layout, unless a complete one of this kind is already there.

    The bytes depend on seed and version alone, not on `workers` (processes; None: one per core). A set that was left
    half written, or is of another version, seed or size, is drawn again. Safe to call from several processes at once.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".synth_faces.lock"):
        if is_complete(root, seed, train_images, val_images):
            return
        _clear(root)
        manifest = identity(seed, train_images, val_images)
        for split, count in zip(SPLITS, (train_images, val_images), strict=True):
            images = _draw_split(root, seed, split, count, workers or _cores())
            write_annotations(root, split, images)
            manifest[f"{split}_faces"] = sum(len(image.faces) for image in images)
        write_manifest(root, manifest)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _clear(root: Path) -> None:
    (root / MANIFEST).unlink(missing_ok=True)
    for folder in ("WIDER_train", "WIDER_val", "wider_face_split", "eval_tools"):
        shutil.rmtree(root / folder, ignore_errors=True)


def _draw_split(root: Path, seed: int, split: str, count: int, workers: int) -> list[AnnotatedImage]:
    _log.info("synth_faces: drawing %d %s images below %s", count, split, root)
    start = time.perf_counter()
    workers = min(workers, count // _IMAGES_A_WORKER)
    if workers > 1:
        images = draw_in_processes(root, seed, split, count, workers)
    else:
        images = [save_image(root, seed, split, index) for index in range(count)]
    _log.info("synth_faces: %s done in %.1f s", split, time.perf_counter() - start)
    return images
