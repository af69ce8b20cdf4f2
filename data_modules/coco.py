"""COCO (Lin et al., ECCV 2014, arXiv 1405.0312) in its official layout, and any dataset in that layout.

- root/{train,val}2017/<file_name>
- root/annotations/instances_{train,val}2017.json
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_modules.coco_annotations import LAYOUT, CocoFile, LabelledImage, annotation_hash, read_coco
from data_modules.dataset import EvalResizeRule, TrainTransformRule
from data_modules.detection import DetectionData, Split
from data_modules.errors import DataError
from data_modules.verify_coco import CocoVerification

log = logging.getLogger(__name__)


class Coco(CocoVerification, DetectionData):
    """Training and validation images, those without objects included. `image_id` is an int.

    Args:
        root: the folder of the layout above; None where only predictions are evaluated against `annotations`.
        annotations: another annotation file for val; its images lie in root/val2017 all the same.
        classes: only these categories, labels in their order; None takes all, labels in the order of their ids.
        num_classes: how many classes a detector is built for; checked before images are loaded. None checks nothing.
        options: what `DetectionData` takes.
    """

    name = "coco"

    def __init__(
        self,
        root: str | Path | None,
        train_transform: TrainTransformRule,
        eval_resize: EvalResizeRule,
        annotations: str | Path | None = None,
        classes: Sequence[str] | None = None,
        num_classes: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(train_transform, eval_resize, **options)
        self.root = None if root is None else Path(root).expanduser()
        self.val_annotations = None if annotations is None else Path(annotations).expanduser()
        self.classes = None if classes is None else tuple(classes)
        self.expected_classes = num_classes
        self._files: dict[Split, CocoFile] = {}

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels, as the annotations of val have them."""
        return self._file("val").class_names

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def setup(self, stage: str) -> None:
        """Read the annotations that `stage` needs.

        Raises:
            DataError: a file is missing or malformed, or files and detector disagree about the classes.
        """
        super().setup(stage)
        if self.expected_classes not in (None, self.num_classes):
            raise DataError(
                f"{self._path('val')}: expected {self.expected_classes} classes, found {self.num_classes}; "
                f"set data.num_classes={self.num_classes}, or choose some with data.classes=[...]"
            )
        if stage == "fit" and self._categories("train") != self._categories("val"):
            raise DataError(
                f"{self._path('train')}: expected the categories of {self._path('val')}, found others or other ids; "
                "labels would mean one thing in training and another in evaluation"
            )

    def annotated(self, split: Split) -> list[LabelledImage]:
        """The annotated images in use, read on first request."""
        return self._file(split).images[: self.limits[split]]

    def folder(self, split: Split) -> Path:
        if self.root is None:
            raise DataError(f"expected the folder of the images, found data.root=null; set data.root=DIR, {LAYOUT}")
        return self.root / f"{split}2017"

    def summary(self, split: Split) -> dict[str, Any]:
        """What was used, for the record: dataset, split, number of images and a hash of their annotations."""
        images = self.annotated(split)
        return {
            "name": self.name,
            "split": split,
            "images": len(images),
            "annotation_hash": annotation_hash(images, self._file(split).class_names),
        }

    @property
    def ground_truth(self) -> dict[str, Any]:
        """Keyword arguments of the evaluator: the annotation file, and what to restrict it to (None: nothing)."""
        limited = self.limits["val"] is not None
        return {
            "annotations": self._path("val"),
            "images": [image.image_id for image in self.annotated("val")] if limited else None,
            "classes": self.classes,
        }

    def _path(self, split: Split) -> Path:
        if split == "val" and self.val_annotations is not None:
            return self.val_annotations
        if self.root is None:
            raise DataError(f"expected the dataset, found data.root=null; set data.root=DIR, {LAYOUT}")
        return self.root / "annotations" / f"instances_{split}2017.json"

    def _file(self, split: Split) -> CocoFile:
        if split not in self._files:
            self._files[split] = file = read_coco(self._path(split), self.classes)
            empty = sum(not len(image.boxes) for image in file.images)
            log.info("%s %s: %d images, %d of them without objects", self.name, split, len(file.images), empty)
        return self._files[split]

    def _categories(self, split: Split) -> tuple[tuple[int, ...], tuple[str, ...]]:
        return self._file(split).category_ids, self._file(split).class_names
