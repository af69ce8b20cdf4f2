"""Annotated images on disk -> samples, as arrays. Without torch: images may be read before it is imported."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data_modules.loading.cache.decoded import DecodedCache
from data_modules.loading.files import AnnotatedImage
from data_modules.loading.images import decode_image, read_image
from data_modules.loading.transforms.sample import Sample

TrainTransformRule = Callable[[Sample, np.random.Generator], Sample]
EvalResizeRule = Callable[[Sample], Sample]


class LoadedImages:
    """Images of a folder with what is annotated of them; decoded ones from a cache where there is one."""

    def __init__(self, folder: Path, images: Sequence[AnnotatedImage], cache: DecodedCache | None = None) -> None:
        self.folder = folder
        self.images = images
        self.cache = cache
        self.paths = [folder / image.path for image in images]  # a path made anew is hashed and spelled out anew

    def __len__(self) -> int:
        return len(self.images)

    def load(self, index: int) -> Sample:
        """The image as stored.

        Raises:
            DataError: it is missing or damaged.
        """
        annotation = self.images[index]
        path = self.paths[index]
        pixels = read_image(path) if self.cache is None else self.cache.get(path, decode_image)
        return Sample(pixels, annotation.boxes, annotation.labels, annotation.keypoints, annotation.ignore)


class ResizedImages(LoadedImages):
    """Images under a resizing rule."""

    def __init__(
        self, folder: Path, images: Sequence[AnnotatedImage], resize: EvalResizeRule, cache: DecodedCache | None = None
    ) -> None:
        super().__init__(folder, images, cache)
        self.resize = resize

    def resized(self, index: int) -> tuple[Sample, tuple[int, int]]:
        """The resized sample, and (H, W) of the original image."""
        original = self.load(index)
        height, width = original.image.shape[:2]
        return self.resize(original), (height, width)
