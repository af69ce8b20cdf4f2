"""Annotated images on disk -> the samples of a batch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from data_modules.cache import DecodedCache
from data_modules.collate import Item, to_tensor
from data_modules.images import decode_image, read_image
from data_modules.transforms.sample import Sample

TrainTransformRule = Callable[[Sample, np.random.Generator], Sample]
EvalResizeRule = Callable[[Sample], Sample]


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


class _Images(Dataset[Item]):
    def __init__(self, folder: Path, images: Sequence[AnnotatedImage], cache: DecodedCache | None) -> None:
        self.folder = folder
        self.images = images
        self.cache = cache

    def __len__(self) -> int:
        return len(self.images)

    def _load(self, index: int) -> Sample:
        annotation = self.images[index]
        path = self.folder / annotation.path
        pixels = read_image(path) if self.cache is None else self.cache.get(path, decode_image)
        return Sample(pixels, annotation.boxes, annotation.labels, annotation.keypoints, annotation.ignore)

    def _target(self, index: int, sample: Sample) -> dict[str, Any]:
        """boxes float32 [N, 4], labels int64 [N], keypoints float32 [N, 5, 3], ignore bool [N], image_id."""
        return {
            "boxes": torch.tensor(sample.boxes, dtype=torch.float32),
            "labels": torch.tensor(sample.labels, dtype=torch.int64),
            "keypoints": torch.tensor(sample.keypoints, dtype=torch.float32),
            "ignore": torch.tensor(sample.ignore, dtype=torch.bool),
            "image_id": self.images[index].image_id,
        }


class TrainImages(_Images):
    """Augmented images. The key of an item is `(epoch, index)`; a bare index means epoch 0."""

    def __init__(
        self,
        folder: Path,
        images: Sequence[AnnotatedImage],
        transform: TrainTransformRule,
        seed: int,
        cache: DecodedCache | None = None,
    ) -> None:
        super().__init__(folder, images, cache)
        self.transform = transform
        self.seed = seed

    def __getitem__(self, key: tuple[int, int] | int) -> Item:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        rng = np.random.default_rng([self.seed, epoch, index])
        sample = self.transform(self._load(index), rng)
        return to_tensor(sample.image), self._target(index, sample)


class EvalImages(_Images):
    """Resized images, boxes in the pixels of the resized image.

    Two more keys in the target: `size` int64 [2] = (H, W) of the original image and `scale` float32 [2] = (sx, sy), so
    that boxes / (sx, sy, sx, sy) are original pixels.
    """

    def __init__(
        self, folder: Path, images: Sequence[AnnotatedImage], resize: EvalResizeRule, cache: DecodedCache | None = None
    ) -> None:
        super().__init__(folder, images, cache)
        self.resize = resize

    def __getitem__(self, index: int) -> Item:
        original = self._load(index)
        sample = self.resize(original)
        (height, width), (new_height, new_width) = original.image.shape[:2], sample.image.shape[:2]
        target = self._target(index, sample)
        target["size"] = torch.tensor([height, width])
        target["scale"] = torch.tensor([new_width / width, new_height / height], dtype=torch.float32)
        return to_tensor(sample.image), target
