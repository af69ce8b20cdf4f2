"""COCO's annotation file (`instances_*.json`, https://cocodataset.org/#format-data) as one `LabelledImage` per image.

Only what detection needs is read: `segmentation` may be missing, `iscrowd` counts as 0 where it is. Boxes x y w h
become xyxy. A crowd, and a box without width or height (the training file has some), is kept and flagged `ignore`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_modules.errors import DataError

LAYOUT = (
    "the official layout is root/annotations/instances_{train,val}2017.json beside root/{train,val}2017, from "
    "https://cocodataset.org"
)
_KEYPOINTS = (5, 3)  # none is visible: COCO's objects have no facial landmarks, and batches stay uniform


@dataclass(frozen=True)
class LabelledImage:
    """The objects of one image."""

    image_id: int
    path: str  # relative to the folder of the split
    boxes: NDArray[np.float32]  # [N, 4] xyxy pixels
    labels: NDArray[np.int64]  # [N]
    ignore: NDArray[np.bool_]  # [N]

    @cached_property
    def keypoints(self) -> NDArray[np.float32]:
        """[N, 5, 3], none visible."""
        return np.zeros((len(self.boxes), *_KEYPOINTS), np.float32)


@dataclass(frozen=True)
class CocoFile:
    """An annotation file: its images in its order, and the names of the labels 0..K-1."""

    images: list[LabelledImage]
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]  # label -> id


def read_coco(path: Path, classes: Sequence[str] | None = None) -> CocoFile:
    """Read an annotation file; `classes` keeps the objects of these categories alone, labels in their order.

    Images stay, with objects or without.

    Raises:
        DataError: a missing or malformed file, naming it and the image or annotation at fault.
    """
    document = _load(path)
    categories = {category["id"]: str(category["name"]) for category in _unique(path, document, "categories", "name")}
    chosen = _chosen(path, categories, classes)
    labels = {category: label for label, category in enumerate(chosen)}
    images = {image["id"]: image for image in _unique(path, document, "images", "file_name")}
    objects: dict[int, list[tuple[list[float], int, bool]]] = {image_id: [] for image_id in images}
    for annotation in _unique(path, document, "annotations", "bbox"):
        box = _box(path, annotation)
        image_id, category = annotation.get("image_id"), annotation.get("category_id")
        if image_id not in images:
            raise _at(path, annotation, "the image_id of an image of this file", image_id)
        if category not in categories:
            raise _at(path, annotation, "the category_id of a category of this file", category)
        if category in labels:
            ignore = bool(annotation.get("iscrowd", 0)) or min(box[2:]) == 0
            objects[image_id].append((box, labels[category], ignore))
    found = [_image(image_id, str(images[image_id]["file_name"]), rows) for image_id, rows in objects.items()]
    return CocoFile(found, tuple(categories[category] for category in chosen), tuple(chosen))


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"expected the annotation file {path}, found none; {LAYOUT}")
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:  # json's own, and bytes that are no UTF-8
        raise DataError(f"{path}: expected JSON, found something else ({error}); fetch the file again") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected an object with images, annotations and categories, found a list or a value")
    return document


def _unique(path: Path, document: dict[str, Any], key: str, needed: str) -> list[dict[str, Any]]:
    """The entries of `document[key]`: each an object with a whole-number id of its own and a `needed` value."""
    entries = document.get(key)
    if not isinstance(entries, list) or (not entries and key != "annotations"):
        found = "none" if not entries else type(entries).__name__
        raise DataError(f"{path}: expected a list `{key}`, found {found}; files of image names alone will not do")
    seen: set[int] = set()
    for number, entry in enumerate(entries):
        identity = entry.get("id") if isinstance(entry, dict) else None
        if type(identity) is not int or needed not in entry:
            raise DataError(
                f"{path}: expected entry {number} of `{key}` to have a whole number `id` and `{needed}`, "
                f"found {str(entry)[:120]}"
            )
        if identity in seen:
            raise DataError(f"{path}: expected every id of `{key}` once, found {identity} again at entry {number}")
        seen.add(identity)
    return entries


def _chosen(path: Path, categories: dict[int, str], classes: Sequence[str] | None) -> list[int]:
    """Category ids in the order of the labels: all by id, or those of `classes`."""
    by_name = {name: category for category, name in categories.items()}
    if len(by_name) < len(categories):
        raise DataError(f"{path}: expected every name of `categories` once, found {sorted(categories.values())}")
    if classes is None:
        return sorted(categories)
    unknown = [name for name in classes if name not in by_name]
    if unknown or not classes or len(set(classes)) < len(classes):
        what = f"`{unknown[0]}`" if unknown else f"{list(classes)}"
        raise DataError(f"{path}: expected classes, each once, out of {', '.join(by_name)}; found {what}")
    return [by_name[name] for name in classes]


def _box(path: Path, annotation: dict[str, Any]) -> list[float]:
    box = annotation["bbox"]
    numbers = isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box)
    if not numbers or not all(map(math.isfinite, box)):
        raise _at(path, annotation, "a bbox of four finite numbers x y w h", box)
    if min(box[2:]) < 0:
        raise _at(path, annotation, "a bbox x y w h with a width and a height of 0 or more", box)
    return box


def _at(path: Path, annotation: dict[str, Any], expected: str, found: Any) -> DataError:
    return DataError(
        f"{path}, annotation {annotation['id']}: expected {expected}, found {str(found)[:80]}. "
        "Mend the annotation or fetch the file again"
    )


def _image(image_id: int, path: str, rows: list[tuple[list[float], int, bool]]) -> LabelledImage:
    xywh = np.array([box for box, _, _ in rows], np.float64).reshape(-1, 4)
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)
    labels = np.array([label for _, label, _ in rows], np.int64)
    return LabelledImage(image_id, path, boxes, labels, np.array([ignore for _, _, ignore in rows], np.bool_))
