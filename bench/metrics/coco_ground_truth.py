"""The annotation file of COCO as its evaluation needs it: boxes, areas, crowds; `segmentation` is not looked at."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError

WANTED = "fetch the file again, or name another with data.annotations=FILE"


class GroundTruthError(BenchError):
    """An annotation file that cannot be read as COCO's, or lacks what is asked of it."""


@dataclass(frozen=True)
class CocoGroundTruth:
    """
    Attributes:
        image_ids: the images evaluated, ascending.
        known_images: all images of the file.
        category_ids: label 0..K-1 -> category id, of the categories evaluated.
        known_categories: all category ids of the file.
        annotations: objects of the images and categories evaluated, in pycocotools' own form.
    """

    image_ids: tuple[int, ...]
    known_images: frozenset[int]
    category_ids: tuple[int, ...]
    known_categories: frozenset[int]
    annotations: list[dict[str, Any]]


def read_coco_ground_truth(
    path: str | Path, images: Sequence[int] | None = None, classes: Sequence[str] | None = None
) -> CocoGroundTruth:
    """Read an annotation file, restricted to `images` and to the categories named `classes` (None: all of them).

    Annotations are numbered anew from 1: pycocotools takes an object with the id 0 for one that nothing matches.

    Raises:
        GroundTruthError: a malformed file, or one without an image or category asked for.
    """
    document = _load(Path(path))
    names = {entry["id"]: entry["name"] for entry in _entries(path, document, "categories", ("id", "name"))}
    known = [entry["id"] for entry in _entries(path, document, "images", ("id",))]
    chosen_images = sorted(set(known if images is None else images))
    unknown = set(chosen_images).difference(known)
    if unknown or not chosen_images:
        what = f"image {min(unknown)}, which it lacks" if unknown else "none"
        raise GroundTruthError(f"{path}: expected images of this file to evaluate, found {what}")
    category_ids = _categories(path, names, classes)
    wanted_images, wanted = set(chosen_images), set(category_ids)
    found: list[dict[str, Any]] = []
    for entry in _entries(path, document, "annotations", ("image_id", "category_id", "bbox")):
        if entry["category_id"] not in names:
            raise GroundTruthError(f"{path}, annotation {entry.get('id')}: unknown category {entry['category_id']}")
        if entry["image_id"] in wanted_images and entry["category_id"] in wanted:
            found.append(_annotation(path, entry, len(found) + 1))
    return CocoGroundTruth(tuple(chosen_images), frozenset(known), category_ids, frozenset(names), found)


def _load(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise GroundTruthError(f"expected COCO's annotation file {path}, found none that can be read") from error
    except ValueError as error:
        raise GroundTruthError(f"{path}: expected COCO's annotation JSON, found {error}; {WANTED}") from error
    if not isinstance(document, dict):
        raise GroundTruthError(f"{path}: expected images, annotations and categories, found no JSON object; {WANTED}")
    return document


def _entries(path: str | Path, document: dict[str, Any], key: str, fields: Sequence[str]) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list):
        raise GroundTruthError(f"{path}: expected a list `{key}`, found none; {WANTED}")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or any(field not in entry for field in fields):
            raise GroundTruthError(
                f"{path}: expected {', '.join(fields)} in entry {number} of `{key}`, found {str(entry)[:80]}; {WANTED}"
            )
    return entries


def _categories(path: str | Path, names: dict[int, str], classes: Sequence[str] | None) -> tuple[int, ...]:
    if classes is None:
        return tuple(sorted(names))
    by_name = {name: category for category, name in names.items()}
    unknown = [name for name in classes if name not in by_name]
    if unknown or not classes:
        what = f"`{unknown[0]}`" if unknown else "none"
        raise GroundTruthError(f"{path}: expected classes out of {', '.join(by_name)}; found {what}")
    return tuple(by_name[name] for name in classes)


def _annotation(path: str | Path, entry: dict[str, Any], number: int) -> dict[str, Any]:
    box = entry["bbox"]
    numbers = isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box)
    if not numbers or not all(map(math.isfinite, box)) or min(box[2:]) < 0:
        raise GroundTruthError(
            f"{path}, annotation {entry.get('id')}: expected a bbox x y w h of finite numbers, w and h 0 or more, "
            f"found {str(box)[:80]}"
        )
    return {
        "id": number,
        "image_id": entry["image_id"],
        "category_id": entry["category_id"],
        "bbox": [float(value) for value in box],
        "area": float(entry.get("area", box[2] * box[3])),  # of the segmentation, where there is one
        "iscrowd": int(entry.get("iscrowd", 0)),
    }
