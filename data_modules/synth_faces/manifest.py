"""The file that says that a drawn set is complete, and of which version, seed and size it is."""

from __future__ import annotations

import json
from pathlib import Path

SYNTH_FACES_VERSION = 1
MANIFEST = "synth_faces.json"


def is_complete(root: Path, seed: int, train_images: int, val_images: int) -> bool:
    """Whether `root` holds a finished set of this version, seed and size."""
    try:
        manifest = json.loads((Path(root) / MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    wanted = identity(seed, train_images, val_images)
    return isinstance(manifest, dict) and all(manifest.get(key) == value for key, value in wanted.items())


def identity(seed: int, train_images: int, val_images: int) -> dict[str, int]:
    return {
        "version": SYNTH_FACES_VERSION, "seed": seed, "train_images": train_images, "val_images": val_images
    }  # fmt: skip


def write_manifest(root: Path, manifest: dict[str, int]) -> None:
    partial_file = root / f"{MANIFEST}.partial"
    partial_file.write_text(json.dumps(manifest, indent=2) + "\n")
    partial_file.replace(root / MANIFEST)
