"""What `bench data verify` checks in COCO's layout.

Without a manifest an edited box is told by the outline beside it: the released boxes are those of the segmentations, to
the last digit.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.labels.coco_json import CocoFile, CocoObject, read_instances
from data_modules.labels.coco_objects import corners_of, ignored
from data_modules.verify.content import Finding, SplitContent, VerificationItem

OUTLINE = 0.02  # pixels between a box and its outline: files that round to two decimals


def coco_content(path: Path, folder: Path) -> SplitContent:
    """What is to be checked of the annotation file at `path` and the images in `folder`."""
    file = read_instances(path)
    objects: dict[int, list[CocoObject]] = {image_id: [] for image_id in file.images}
    for one in file.objects:
        objects[one.image_id].append(one)
    facts = {
        "annotations": len(file.objects),
        "categories": len(file.categories),
        "categories_used": len({one.category_id for one in file.objects}),
        "crowds": sum(one.crowd for one in file.objects),
    }
    items = [_item(file, image_id, found, folder) for image_id, found in objects.items()]
    problems = [finding for one in file.objects for finding in _outline(one)]
    return SplitContent(items, folder, {path.name: path}, facts, problems)


def _item(file: CocoFile, image_id: int, objects: list[CocoObject], folder: Path) -> VerificationItem:
    image = file.images[image_id]
    entries = [one.entry for one in sorted(objects, key=lambda one: one.id)]
    record = json.dumps([image, entries], sort_keys=True)
    size = (image["width"], image["height"]) if "width" in image and "height" in image else None
    boxes = corners_of(objects)
    return VerificationItem(str(image_id), folder / file.file_name(image_id), boxes, ignored(objects), record, size)


def _outline(one: CocoObject) -> list[Finding]:
    """A problem where the box is not that of its polygons; run-length masks (crowds) are not decoded."""
    polygons = one.entry.get("segmentation")
    if not isinstance(polygons, list) or not polygons:
        return []
    points: NDArray[np.float64] = np.concatenate([np.array(polygon, np.float64).reshape(-1, 2) for polygon in polygons])
    x, y, w, h = map(float, one.box)
    low, high = points.min(axis=0), points.max(axis=0)
    difference = np.abs(np.array([x, y, x + w, y + h]) - [*low, *high]).max()
    if difference <= OUTLINE:
        return []
    detail = f"annotation {one.id}: bbox {one.entry['bbox']} is {difference:.4g} px from its segmentation's"
    return [Finding("box and outline differ", str(one.image_id), detail)]
