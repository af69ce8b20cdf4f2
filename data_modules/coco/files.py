"""COCO (Lin et al., ECCV 2014, arXiv 1405.0312) in its official layout, and any dataset in that layout.

- root/{train,val}2017/<file_name>
- root/annotations/instances_{train,val}2017.json
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_modules.errors import DataError
from data_modules.labels.coco_json import LAYOUT
from data_modules.labels.coco_objects import LabelledFile, LabelledImage, read_objects
from data_modules.loading.files import DatasetFiles, Split, of_release
from data_modules.verify.coco import coco_content
from data_modules.verify.content import SplitContent

log = logging.getLogger(__name__)


class CocoFiles(DatasetFiles):
    """Training and validation images, those without objects included. `image_id` is an int.

    Args:
        root: the folder of the layout above; None where only predictions are evaluated against `annotations`.
        annotations: another annotation file for val; its images lie in root/val2017 all the same.
        classes: only these categories, labels in their order; None takes all, labels in the order of their ids.
        options: what `DatasetFiles` takes.
    """

    name = "coco"

    def __init__(
        self,
        root: str | Path | None,
        annotations: str | Path | None = None,
        classes: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(root, **options)
        self.val_annotations = None if annotations is None else Path(annotations).expanduser()
        self.classes = None if classes is None else tuple(classes)
        self._files: dict[str, LabelledFile] = {}

    @property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the labels, as the annotations of the evaluated split have them."""
        return self.classes_of(self.split)

    def check(self, stage: str) -> None:
        """Read the annotations that a stage needs.

        Raises:
            DataError: a file is missing or malformed, or train and the evaluated split have other classes.
        """
        super().check(stage)
        if stage == "fit" and self._categories("train") != self._categories(self.split):
            raise DataError(
                f"{self._path('train')}: expected the categories of {self._path(self.split)}, found others or "
                "other ids; labels would mean one thing in training and another in evaluation"
            )

    def annotated(self, split: Split) -> list[LabelledImage]:
        """The annotated images in use, read on first request."""
        return self.limited(self._file(split).images, split)

    def verification(self, split: Split) -> SplitContent:
        return coco_content(self._path(split), self.folder(split))

    def folder(self, split: Split) -> Path:
        if self.root is None:
            raise DataError(f"expected the folder of the images, found data.root=null; set data.root=DIR, {LAYOUT}")
        return self.root / f"{of_release(split)}2017"

    def classes_of(self, split: Split) -> tuple[str, ...]:
        return self._file(split).class_names

    def sources(self, split: Split) -> tuple[list[Path], dict[str, Any]]:
        return [self._path(split)], {"classes": self.classes}

    def truth(self, split: Split | None = None) -> dict[str, Any]:
        """The annotation file, and what to restrict it to (None: nothing)."""
        wanted = split or self.split
        nothing_held_out = wanted == "val" or (wanted == "train" and not self.held_out)
        whole = nothing_held_out and self.limits[wanted] is None
        restricted = {
            "annotations": self._path(wanted),
            "images": None if whole else [image.image_id for image in self.annotated(wanted)],
            "classes": self.classes,
        }
        return {**super().truth(wanted), "coco": restricted}

    def _image_hash(self, split: Split, paths: Sequence[str]) -> str | None:
        return None if self.root is None else super()._image_hash(split, paths)

    def _path(self, split: Split) -> Path:
        if split == "val" and self.val_annotations is not None:
            return self.val_annotations
        if self.root is None:
            raise DataError(f"expected the dataset, found data.root=null; set data.root=DIR, {LAYOUT}")
        if not self.root.is_dir():
            raise DataError(f"expected the dataset in {self.root}, found no such folder; set data.root=DIR, {LAYOUT}")
        return self.root / "annotations" / f"instances_{of_release(split)}2017.json"

    def _file(self, split: Split) -> LabelledFile:
        released = of_release(split)
        if released not in self._files:
            self._files[released] = file = read_objects(self._path(split), self.classes)
            empty = sum(not len(image.boxes) for image in file.images)
            log.info("%s %s: %d images, %d of them without objects", self.name, split, len(file.images), empty)
        return self._files[released]

    def _categories(self, split: Split) -> tuple[tuple[int, ...], tuple[str, ...]]:
        return self._file(split).category_ids, self._file(split).class_names
