"""What `bench data verify` checks in COCO's layout.

Without a manifest an edited box is told by the outline beside it: the released boxes are those of the segmentations, to
the last digit.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_modules.coco_annotations import read_coco
from data_modules.verify import Finding, SplitContent, Verifiable, VerificationItem

OUTLINE = 0.02  # pixels between a box and its outline: files that round to two decimals


class CocoVerification(Verifiable):
    """For data modules of COCO's layout that tell `_path(split)`, the annotations, and `folder(split)`, the images."""

    def _path(self, split: Any) -> Path:
        raise NotImplementedError

    def folder(self, split: Any) -> Path:
        raise NotImplementedError

    def verification(self, split: str) -> SplitContent:
        path, folder = self._path(split), self.folder(split)
        read_coco(path)  # refuses what training would refuse
        document = json.loads(path.read_bytes())
        annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for annotation in document["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
        items = [_item(image, annotations[image["id"]], folder) for image in document["images"]]
        used = {annotation["category_id"] for annotation in document["annotations"]}
        facts = {
            "annotations": len(document["annotations"]),
            "categories": len(document["categories"]),
            "categories_used": len(used),
            "crowds": sum(bool(annotation.get("iscrowd", 0)) for annotation in document["annotations"]),
        }
        problems = [finding for annotation in document["annotations"] for finding in _outline(annotation)]
        return SplitContent(items, folder, {path.name: path}, facts, problems)


def _item(image: dict[str, Any], annotations: list[dict[str, Any]], folder: Path) -> VerificationItem:
    xywh = np.array([annotation["bbox"] for annotation in annotations], np.float64).reshape(-1, 4)
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    crowd = np.array([bool(annotation.get("iscrowd", 0)) for annotation in annotations], np.bool_)
    record = json.dumps([image, sorted(annotations, key=lambda annotation: annotation["id"])], sort_keys=True)
    size = (image["width"], image["height"]) if "width" in image and "height" in image else None
    return VerificationItem(
        str(image["id"]), folder / image["file_name"], boxes, crowd | (xywh[:, 2:] <= 0).any(axis=1), record, size
    )


def _outline(annotation: dict[str, Any]) -> list[Finding]:
    """A problem where the box is not that of its polygons; run-length masks (crowds) are not decoded."""
    polygons = annotation.get("segmentation")
    if not isinstance(polygons, list) or not polygons:
        return []
    points: NDArray[np.float64] = np.concatenate([np.array(polygon, np.float64).reshape(-1, 2) for polygon in polygons])
    x, y, w, h = annotation["bbox"]
    low, high = points.min(axis=0), points.max(axis=0)
    difference = np.abs(np.array([x, y, x + w, y + h]) - [*low, *high]).max()
    if difference <= OUTLINE:
        return []
    detail = f"annotation {annotation['id']}: bbox {annotation['bbox']} is {difference:.4g} px from its segmentation's"
    return [Finding("box and outline differ", str(annotation["image_id"]), detail)]
