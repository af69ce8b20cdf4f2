"""Annotated images on disk -> the samples of a batch, as tensors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from data_modules.loading.ahead import Read
from data_modules.loading.cache.decoded import DecodedCache
from data_modules.loading.collate import Item, to_tensor
from data_modules.loading.files import AnnotatedImage
from data_modules.loading.samples import EvalResizeRule, LoadedImages, ResizedImages, TrainTransformRule
from data_modules.loading.transforms.sample import Sample


def target_of(annotation: AnnotatedImage, sample: Sample) -> dict[str, Any]:
    """boxes float32 [N, 4], labels int64 [N], keypoints float32 [N, 5, 3], ignore bool [N], image_id."""
    return {
        "boxes": _copied(sample.boxes, np.float32),
        "labels": _copied(sample.labels, np.int64),
        "keypoints": _copied(sample.keypoints, np.float32),
        "ignore": _copied(sample.ignore, np.bool_),
        "image_id": annotation.image_id,
    }


def _copied(values: NDArray[Any], kind: type[np.generic]) -> Tensor:
    """A tensor of its own, in a fraction of the time of torch.tensor."""
    return torch.from_numpy(np.array(values, kind))


class TrainImages(LoadedImages, Dataset[Item]):
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
        sample = self.transform(self.load(index), rng)
        return to_tensor(sample.image), target_of(self.images[index], sample)


class EvalImages(ResizedImages, Dataset[Item]):
    """Resized images, boxes in the pixels of the resized image.

    Two more keys in the target: `size` int64 [2] = (H, W) of the original image and `scale` float32 [2] = (sx, sy), so
    that boxes / (sx, sy, sx, sy) are original pixels.
    """

    def __getitem__(self, index: int) -> Item:
        return self.item(index, self.resized(index))

    def item(self, index: int, read: Read) -> Item:
        """The item of an image that has been read."""
        sample, (height, width) = read
        new_height, new_width = sample.image.shape[:2]
        target = target_of(self.images[index], sample)
        target["size"] = torch.tensor([height, width])
        target["scale"] = torch.tensor([new_width / width, new_height / height], dtype=torch.float32)
        return to_tensor(sample.image), target


__all__ = ["EvalImages", "EvalResizeRule", "Read", "TrainImages", "TrainTransformRule", "target_of"]
