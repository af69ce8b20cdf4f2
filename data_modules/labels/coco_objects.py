"""The objects of COCO's images as arrays: what is trained on, and what hashes tell.

Boxes x y w h become xyxy. A crowd, and a box without width or height (the training file has some), is kept and flagged
`ignore`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_modules.errors import DataError
from data_modules.labels.coco_json import CocoFile, CocoObject, read_instances

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
class LabelledFile:
    """The images of an annotation file in its order, and the names of the labels 0..K-1."""

    images: list[LabelledImage]
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]  # label -> id


def read_objects(path: Path, classes: Sequence[str] | None = None) -> LabelledFile:
    """Read an annotation file; `classes` keeps the objects of these categories alone, labels in their order.

    Images stay, with objects or without.

    Raises:
        DataError: a missing or malformed file, images without names, or two categories of one name.
    """
    file = read_instances(path)
    if len(set(file.categories.values())) < len(file.categories):
        raise DataError(
            f"{path}: expected every name of `categories` once, found {sorted(file.categories.values())}; "
            "labels are told apart by name"
        )
    chosen = file.category_ids(classes)
    labels = {category: label for label, category in enumerate(chosen)}
    objects: dict[int, list[CocoObject]] = {image_id: [] for image_id in file.images}
    for one in file.objects:
        if one.category_id in labels:
            objects[one.image_id].append(one)
    images = [_image(file, image_id, found, labels) for image_id, found in objects.items()]
    return LabelledFile(images, tuple(file.categories[category] for category in chosen), chosen)


def corners_of(objects: Sequence[CocoObject]) -> NDArray[np.float64]:
    """Boxes [N, 4] xyxy."""
    xywh = np.array([one.box for one in objects], np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def ignored(objects: Sequence[CocoObject]) -> NDArray[np.bool_]:
    """[N]: crowds, and boxes without width or height."""
    return np.array([one.crowd or min(one.box[2:]) <= 0 for one in objects], np.bool_)


def _image(file: CocoFile, image_id: int, found: list[CocoObject], labels: dict[int, int]) -> LabelledImage:
    own = np.array([labels[one.category_id] for one in found], np.int64)
    boxes = corners_of(found).astype(np.float32)
    return LabelledImage(image_id, file.file_name(image_id), boxes, own, ignored(found))
