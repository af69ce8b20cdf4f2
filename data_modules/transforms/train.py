"""The training pipeline of SCRFD: crop, resize, flip, distort, in that order."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data_modules.transforms.flip import HorizontalFlip
from data_modules.transforms.photometric import PhotometricDistortion
from data_modules.transforms.resize import resize
from data_modules.transforms.sample import Sample
from data_modules.transforms.square_crop import SQUARE_CROP_SCALES_REDISTRIBUTED, SquareCrop


class TrainTransform:
    """Square crop -> `size` x `size` -> horizontal flip -> photometric distortion.

    Args:
        size: side of the training image in pixels.
        scales: of the crop; with sample redistribution SQUARE_CROP_SCALES_REDISTRIBUTED, without SQUARE_CROP_SCALES.
        clip_boxes: cut boxes at the border of the crop (SCRFD does for some of its models).
        flip: its probability.
        photometric: whether to distort colours.
    """

    def __init__(
        self,
        size: int = 640,
        scales: Sequence[float] = SQUARE_CROP_SCALES_REDISTRIBUTED,
        clip_boxes: bool = False,
        flip: float = 0.5,
        photometric: bool = True,
    ) -> None:
        self.size = size
        self.crop = SquareCrop(scales, clip_boxes)
        self.flip = HorizontalFlip(flip)
        self.distortion = PhotometricDistortion() if photometric else None

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """A sample whose image is uint8 [size, size, 3], changed by draws of `rng` alone."""
        sample = self.flip(resize(self.crop(sample, rng), self.size, self.size), rng)
        if self.distortion is None:
            return sample
        return replace(sample, image=self.distortion.distort(sample.image, rng))
