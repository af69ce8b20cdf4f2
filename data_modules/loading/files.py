"""What is known of a dataset on disk before an image is opened: its splits, annotations, fingerprints and truth.

Nothing here needs torch, so that a grid can be enumerated and told about without it; `data_module.py` makes loaders of
what is described here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_modules.errors import DataError
from data_modules.loading.fingerprint import annotation_hash, image_hash, remembered

if TYPE_CHECKING:
    from data_modules.loading.ahead import Ahead
    from data_modules.verify.content import SplitContent

Split = Literal["train", "val", "held_out"]
Images = TypeVar("Images", bound=Sequence[Any])


class AnnotatedImage(Protocol):
    """What an annotation file says of one image with N objects."""

    @property
    def image_id(self) -> str | int: ...
    @property
    def path(self) -> str: ...  # relative to the folder of the images
    @property
    def boxes(self) -> NDArray[np.float32]: ...  # [N, 4] xyxy pixels
    @property
    def labels(self) -> NDArray[np.int64]: ...  # [N]
    @property
    def keypoints(self) -> NDArray[np.float32]: ...  # [N, 5, 3] x, y, visible
    @property
    def ignore(self) -> NDArray[np.bool_]: ...  # [N]


class DatasetFiles:
    """The images that `annotated` tells, in the folder that `folder` tells; a layout derives from it.

    Args:
        root: of the dataset.
        name: of the dataset, for records; None takes the class's own.
        split: which split evaluation looks at: val, train, or held_out, the images taken out of train.
        held_out: number of training images, spread evenly over them, that are held out of train.
        train_images, val_images: only the first so many (smoke runs).

    Raises:
        DataError: no such split.
    """

    name: str
    class_names: Sequence[str]

    def __init__(
        self,
        root: str | Path | None,
        name: str | None = None,
        split: Split = "val",
        held_out: int = 0,
        train_images: int | None = None,
        val_images: int | None = None,
    ) -> None:
        check_split(split, held_out)
        self.root = None if root is None else Path(root).expanduser()
        self.name = name or type(self).name
        self.split = split
        self.held_out = held_out
        self.limits: dict[Split, int | None] = {"train": train_images, "val": val_images, "held_out": None}

    @property
    def manifest_key(self) -> str:
        """Under which a verification remembers the dataset: one name, whatever folder it lies in."""
        return self.name

    @property
    def is_prepared(self) -> bool:
        """Whether `prepare` has nothing to do."""
        return True

    def prepare(self) -> None:
        """Make what can be made without the network."""

    def annotated(self, split: Split) -> Sequence[AnnotatedImage]:
        """The images in use with their objects, read on first request."""
        raise NotImplementedError

    def folder(self, split: Split) -> Path:
        """Where the images of a split lie."""
        raise NotImplementedError

    def sources(self, split: Split) -> tuple[list[Path], dict[str, Any]]:
        """The annotation files of a split, and the settings under which they are read."""
        raise NotImplementedError

    def verification(self, split: Split) -> "SplitContent":
        """Everything that a verification checks in a split.

        Raises:
            DataError: annotations that cannot be read at all.
        """
        raise NotImplementedError

    def classes_of(self, split: Split) -> Sequence[str]:
        """Names of the labels, as the annotations of a split have them."""
        return self.class_names

    def check(self, stage: str) -> None:
        """Read the annotations that a stage (`fit`, ...) needs.

        Raises:
            DataError: a file of the layout is missing or malformed.
        """
        for split in dict.fromkeys(("train", self.split) if stage == "fit" else (self.split,)):
            self.annotated(split)

    def truth(self, split: Split | None = None) -> dict[str, Any]:
        """What evaluators are handed of a split (default: the evaluated one): `targets`, and forms of their own.

        `targets` is a function that gives the annotated images.
        """
        wanted = split or self.split
        return {"targets": lambda: self.annotated(wanted)}

    def begin_reading(self, resize: Any, threads: int, cache: str | Path | None = None, gib: float = 8.0) -> "Ahead":
        """Read the images of the evaluated split from now on, for a data module to take (`DetectionData.begun`)."""
        from data_modules.loading.ahead import Ahead
        from data_modules.loading.cache.decoded import DecodedCache
        from data_modules.loading.samples import ResizedImages

        decoded = None if cache is None else DecodedCache(Path(cache).expanduser(), int(gib * 2**30))
        images = self.annotated(self.split)
        return Ahead(ResizedImages(self.folder(self.split), images, resize, decoded), range(len(images)), threads)

    def summary(self, split: Split) -> dict[str, Any]:
        """What is read of a split: its name, the number of its images, and hashes of annotations and images.

        Raises:
            DataError: annotations are missing or malformed.
        """
        files, settings = self.sources(split)
        limits = {"held_out": self.held_out, "limit": self.limits[split], "split": split}
        reader = f"{type(self).__module__}.{type(self).__qualname__}"
        found = remembered(files, {**settings, **limits, "reader": reader}, lambda: self._read_summary(split))
        return {
            "name": self.name,
            "split": split,
            "images": len(found["paths"]),
            "annotation_hash": found["annotation_hash"],
            "image_hash": self._image_hash(split, found["paths"]),
        }

    def _read_summary(self, split: Split) -> dict[str, Any]:
        images = self.annotated(split)
        return {
            "annotation_hash": annotation_hash(images, self.classes_of(split)),
            "paths": [image.path for image in images],
        }

    def _image_hash(self, split: Split, paths: Sequence[str]) -> str | None:
        return image_hash(self.folder(split), paths)

    def limited(self, images: Images, split: Split) -> Images:
        """The images of a file that belong to a split: train without those held out, the first so many.

        Raises:
            DataError: images of `held_out` are asked for where none are held out, or no image would be left to train.
        """
        check_split(split, self.held_out)
        if split == "val" or not self.held_out:
            return images[: self.limits[split]]  # type: ignore[return-value]
        if self.held_out >= len(images):
            raise DataError(f"expected data.held_out below the {len(images)} training images, found {self.held_out}")
        held = {number * len(images) // self.held_out for number in range(self.held_out)}
        chosen = [image for index, image in enumerate(images) if (index in held) == (split == "held_out")]
        return chosen[: self.limits[split]]  # type: ignore[return-value]


def check_split(split: Split, held_out: int) -> None:
    known = split in ("val", "train") or (split == "held_out" and held_out)
    if not known or not isinstance(held_out, int) or held_out < 0:
        raise DataError(
            "expected data.split to be val, train, or held_out with a number of images in data.held_out; "
            f"found split={split}, held_out={held_out}"
        )


def of_release(split: Split) -> str:
    """The split of the official release in which the images lie: those held out come from train."""
    return "val" if split == "val" else "train"
