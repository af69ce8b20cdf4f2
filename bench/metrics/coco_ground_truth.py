"""The annotation file of COCO as its evaluation needs it: boxes, areas, crowds; `segmentation` is not looked at."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError

WANTED = "fetch the file again, or name another with data.annotations=FILE"
IDS = ("id", "image_id", "category_id")


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

    def content_hash(self) -> str:
        """16 hexadecimal digits of images, categories and objects evaluated, their areas and crowds included."""
        lines = [f"{self.image_ids} {self.category_ids}"]
        lines += sorted(
            json.dumps([entry[key] for key in ("image_id", "category_id", "bbox", "area", "iscrowd")])
            for entry in self.annotations
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


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
    all_images, wanted_images, wanted = set(known), set(chosen_images), set(category_ids)
    found: list[dict[str, Any]] = []
    for entry in _entries(path, document, "annotations", ("image_id", "category_id", "bbox")):
        if entry["category_id"] not in names:
            raise GroundTruthError(f"{path}, annotation {entry.get('id')}: unknown category {entry['category_id']}")
        if entry["image_id"] not in all_images:
            raise GroundTruthError(f"{path}, annotation {entry.get('id')}: unknown image {entry['image_id']}")
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
        if any(type(entry[field]) is not int for field in fields if field in IDS):
            raise GroundTruthError(
                f"{path}: expected whole numbers as ids in entry {number} of `{key}`, found {str(entry)[:80]}; {WANTED}"
            )
    return entries


def _categories(path: str | Path, names: dict[int, str], classes: Sequence[str] | None) -> tuple[int, ...]:
    if classes is None:
        return tuple(sorted(names))
    by_name = {name: category for category, name in names.items()}
    unclear = [name for name in classes if list(names.values()).count(name) != 1]
    if unclear or not classes or len(set(classes)) < len(classes):
        what = f"`{unclear[0]}`" if unclear else f"{list(classes)}"
        raise GroundTruthError(
            f"{path}: expected classes, each once and each the name of one category, out of "
            f"{', '.join(names.values())}; found {what}"
        )
    return tuple(by_name[name] for name in classes)


def _annotation(path: str | Path, entry: dict[str, Any], number: int) -> dict[str, Any]:
    box = entry["bbox"]
    numbers = isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box)
    if not numbers or not all(map(math.isfinite, box)) or min(box[2:]) < 0:
        raise GroundTruthError(
            f"{path}, annotation {entry.get('id')}: expected a bbox x y w h of finite numbers, w and h 0 or more, "
            f"found {str(box)[:80]}"
        )
    area = entry.get("area")
    area = box[2] * box[3] if area is None else area
    if type(area) not in (int, float) or not math.isfinite(area):
        raise GroundTruthError(
            f"{path}, annotation {entry.get('id')}: expected a finite area, found {area!r}; {WANTED}"
        )
    crowd = entry.get("iscrowd") or 0  # null as where it is missing
    if crowd not in (0, 1):
        raise GroundTruthError(
            f"{path}, annotation {entry.get('id')}: expected iscrowd 0 or 1, found {crowd!r}; {WANTED}"
        )
    return {
        "id": number,
        "image_id": entry["image_id"],
        "category_id": entry["category_id"],
        "bbox": [float(value) for value in box],
        "area": float(area),  # of the segmentation, where there is one
        "iscrowd": int(crowd),
    }
