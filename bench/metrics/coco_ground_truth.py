"""The annotation file of COCO as its evaluation needs it: boxes, areas, crowds; `segmentation` is not looked at."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from data_modules.labels import DataError
from data_modules.labels.coco_json import CocoObject, read_instances

WANTED = "data.annotations=FILE names another"


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


def ground_truth_of(
    truth: str | Path | Mapping[str, Any], images: Sequence[int] | None = None, classes: Sequence[str] | None = None
) -> CocoGroundTruth:
    """The objects that a truth describes (a file, or a mapping whose `coco` names it), restricted as asked.

    Raises:
        GroundTruthError: a truth without COCO's form, or what reading it raises.
    """
    form: Mapping[str, Any] = {"annotations": truth} if isinstance(truth, str | Path) else truth.get("coco", {})
    if not form:
        raise GroundTruthError(
            "expected data with COCO's truth (an annotation file), found data without; choose a protocol whose "
            "evaluators fit it, such as protocol=wider_vga"
        )
    chosen = form.get("images") if images is None else images
    names = form.get("classes") if classes is None else classes
    return read_coco_ground_truth(form["annotations"], chosen, names)


def read_coco_ground_truth(
    path: str | Path, images: Sequence[int] | None = None, classes: Sequence[str] | None = None
) -> CocoGroundTruth:
    """Read an annotation file, restricted to `images` and to the categories named `classes` (None: all of them).

    Annotations are numbered anew from 1: pycocotools takes an object with the id 0 for one that nothing matches.

    Raises:
        GroundTruthError: a malformed file, or one without an image or category asked for.
    """
    try:
        file = read_instances(Path(path))
        category_ids = file.category_ids(classes)
    except DataError as error:
        raise GroundTruthError(f"{error}; {WANTED}") from error
    chosen = sorted(set(file.images if images is None else images))
    unknown = set(chosen).difference(file.images)
    if unknown or not chosen:
        what = f"image {min(unknown)}, which it lacks" if unknown else "none"
        raise GroundTruthError(f"{path}: expected images of this file to evaluate, found {what}")
    wanted_images, wanted = set(chosen), set(category_ids)
    objects = [one for one in file.objects if one.image_id in wanted_images and one.category_id in wanted]
    annotations = [_annotation(one, number) for number, one in enumerate(objects, 1)]
    return CocoGroundTruth(tuple(chosen), frozenset(file.images), category_ids, frozenset(file.categories), annotations)


def _annotation(one: CocoObject, number: int) -> dict[str, Any]:
    _, _, width, height = map(float, one.box)
    return {
        "id": number,
        "image_id": one.image_id,
        "category_id": one.category_id,
        "bbox": [float(value) for value in one.box],
        "area": width * height if one.area is None else float(one.area),  # of the segmentation, where there is one
        "iscrowd": int(one.crowd),
    }
