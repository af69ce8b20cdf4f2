"""COCO's annotation file, `instances_*.json` (https://cocodataset.org/#format-data), as it is written.

Only what detection needs is checked: `segmentation` may be missing, `area` may be missing or null, `iscrowd` counts as
0 where it is missing or null. Every entry is kept beside what was read of it.
"""

import json
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_modules.errors import DataError

Number = int | float | Decimal
LAYOUT = (
    "the official layout is root/annotations/instances_{train,val}2017.json beside root/{train,val}2017, from "
    "https://cocodataset.org"
)
_MEND = "mend it or fetch the file again"


@dataclass(frozen=True, slots=True)
class CocoObject:
    """One annotation. Its numbers are those of the file."""

    id: int
    image_id: int
    category_id: int
    box: tuple[Number, Number, Number, Number]  # x y w h
    area: Number | None  # None: not said
    crowd: bool
    entry: Mapping[str, Any]  # the annotation as it stands


@dataclass(frozen=True)
class CocoFile:
    """An annotation file: its images and categories by id and its objects, each in the file's order."""

    path: Path
    images: Mapping[int, Mapping[str, Any]]  # the entries as they stand
    categories: Mapping[int, str]  # id -> name
    objects: Sequence[CocoObject]

    def category_ids(self, classes: Sequence[str] | None = None) -> tuple[int, ...]:
        """Label -> category id: those named `classes` in this order, or all in the order of their ids.

        Raises:
            DataError: a class that names no category or several, that is named twice, or none at all.
        """
        if classes is None:
            return tuple(sorted(self.categories))
        names = list(self.categories.values())
        unclear = [name for name in classes if names.count(name) != 1]
        if unclear or not classes or len(set(classes)) < len(classes):
            what = f"`{unclear[0]}`" if unclear else f"{list(classes)}"
            raise DataError(
                f"{self.path}: expected classes, each once and each the name of one category, out of "
                f"{', '.join(names)}; found {what}"
            )
        by_name = {name: category for category, name in self.categories.items()}
        return tuple(by_name[name] for name in classes)

    def file_name(self, image_id: int) -> str:
        """Of an image, relative to the folder of the split.

        Raises:
            DataError: the file does not say.
        """
        name = self.images[image_id].get("file_name")
        if not isinstance(name, str):
            raise DataError(
                f"{self.path}, image {image_id}: expected a `file_name`, found {name!r}; files of ids alone will do "
                "for evaluating predictions"
            )
        return name


def read_instances(
    path: Path, number: Callable[[str], Number] = float, negative: Container[str] = frozenset()
) -> CocoFile:
    """Read an annotation file.

    Args:
        number: what numbers with a point become; `Decimal` keeps every digit.
        negative: file names of images whose boxes may have negative sizes.

    Raises:
        DataError: a missing or malformed file, naming it and the image or annotation at fault.
    """
    document = _load(path, number)
    categories = _entries(path, document, "categories", ("id", "name"))
    images = _entries(path, document, "images", ("id",))
    objects = _entries(path, document, "annotations", ("id", "image_id", "category_id", "bbox"))
    found = [_object(path, entry) for entry in objects.values()]
    for one in found:
        if one.image_id not in images:
            raise _at(path, one.id, "the image_id of an image of this file", one.image_id)
        if one.category_id not in categories:
            raise _at(path, one.id, "the category_id of a category of this file", one.category_id)
        if min(one.box[2:]) < 0 and images[one.image_id].get("file_name") not in negative:
            raise _at(path, one.id, "a bbox x y w h with a width and a height of 0 or more", one.entry["bbox"])
    return CocoFile(path, images, {key: str(entry["name"]) for key, entry in categories.items()}, found)


def _load(path: Path, number: Callable[[str], Number]) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"expected the annotation file {path}, found none; {LAYOUT}")
    try:
        document = json.loads(path.read_bytes(), parse_float=number)
    except OSError as error:
        raise DataError(f"expected a readable annotation file {path}, found {error.strerror}") from error
    except (ValueError, ArithmeticError) as error:  # json's own, bytes that are no UTF-8, an exponent beyond Decimal's
        raise DataError(f"{path}: expected JSON, found something else ({error}); fetch the file again") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected an object with images, annotations and categories, found a list or a value")
    return document


def _entries(path: Path, document: dict[str, Any], key: str, fields: Sequence[str]) -> dict[int, dict[str, Any]]:
    """The entries of `document[key]` by their ids: each an object with all of `fields`, ids whole and each once."""
    entries = document.get(key)
    if not isinstance(entries, list) or (not entries and key != "annotations"):
        found = "none" if not entries else type(entries).__name__
        raise DataError(f"{path}: expected a list `{key}`, found {found}; files of image names alone will not do")
    ids = [field for field in fields if field.endswith("id")]
    by_id: dict[int, dict[str, Any]] = {}
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or any(field not in entry for field in fields):
            raise _in_list(path, key, number, ", ".join(fields), entry)
        if any(type(entry[field]) is not int for field in ids):
            raise _in_list(path, key, number, "whole numbers as ids", entry)
        if entry["id"] in by_id:
            raise DataError(
                f"{path}: expected every id of `{key}` once, found {entry['id']} again at entry {number}; {_MEND}"
            )
        by_id[entry["id"]] = entry
    return by_id


def _object(path: Path, entry: dict[str, Any]) -> CocoObject:
    box, area, crowd = entry["bbox"], entry.get("area"), entry.get("iscrowd")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_finite, box)):
        raise _at(path, entry["id"], "a bbox x y w h of four finite numbers", box)
    if area is not None and not _is_finite(area):
        raise _at(path, entry["id"], "a finite area", area)
    if crowd not in (None, 0, 1):
        raise _at(path, entry["id"], "iscrowd 0 or 1", crowd)
    x, y, w, h = box
    return CocoObject(entry["id"], entry["image_id"], entry["category_id"], (x, y, w, h), area, bool(crowd), entry)


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float, Decimal) and abs(value) <= sys.float_info.max


def _in_list(path: Path, key: str, number: int, expected: str, found: Any) -> DataError:
    return DataError(f"{path}: expected {expected} in entry {number} of `{key}`, found {str(found)[:120]}; {_MEND}")


def _at(path: Path, annotation: int, expected: str, found: Any) -> DataError:
    return DataError(f"{path}, annotation {annotation}: expected {expected}, found {repr(found)[:80]}; {_MEND}")
