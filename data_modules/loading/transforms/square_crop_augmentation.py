"""The training pipeline of SCRFD: crop, resize, flip, distort, in that order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_modules.loading.transforms.flip import HorizontalFlip, mirrored
from data_modules.loading.transforms.photometric import Distortion, PhotometricDistortion, distort
from data_modules.loading.transforms.pixels import resized
from data_modules.loading.transforms.sample import Sample, as_planes
from data_modules.loading.transforms.square_crop import SQUARE_CROP_SCALES_REDISTRIBUTED, Square, SquareCrop


@dataclass(frozen=True)
class TrainDraws:
    """All that is random about one training image."""

    square: Square
    mirrored: bool
    distortion: Distortion


class SquareCropAugmentation:
    """Square crop -> `input_size` x `input_size` -> horizontal flip -> photometric distortion.

    What is drawn, what happens to the objects and what happens to the pixels are apart, so that the pixels can be
    worked on elsewhere (`data_modules/device`).

    Args:
        input_size: side of the training image in pixels.
        crop_scales: with sample redistribution SQUARE_CROP_SCALES_REDISTRIBUTED, without SQUARE_CROP_SCALES.
        clip_boxes: cut boxes at the border of the crop (SCRFD does for some of its models).
        flip: its probability.
        photometric: whether to distort colours.
    """

    def __init__(
        self,
        input_size: int = 640,
        crop_scales: Sequence[float] = SQUARE_CROP_SCALES_REDISTRIBUTED,
        clip_boxes: bool = False,
        flip: float = 0.5,
        photometric: bool = True,
    ) -> None:
        self.size = input_size
        self.crop = SquareCrop(crop_scales, clip_boxes)
        self.flip = HorizontalFlip(flip)
        self.distortion = PhotometricDistortion() if photometric else None

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """A sample whose image is uint8 [size, size, 3], changed by draws of `rng` alone."""
        draws = self.draw(sample, rng)
        return replace(self.objects(sample, draws), image=self.pixels(sample.image, draws))

    def draw(self, sample: Sample, rng: np.random.Generator) -> TrainDraws:
        """What to do with `sample`, of whose image only the shape matters."""
        square, mirror = self.crop.place(sample, rng), self.flip.draw(rng)
        return TrainDraws(square, mirror, self.distortion.draw(rng) if self.distortion else Distortion())

    def objects(self, sample: Sample, draws: TrainDraws) -> Sample:
        """Boxes and keypoints in the pixels of the training image; the image itself stays."""
        scale = self.size / draws.square[2]
        moved = self.crop.objects(sample, draws.square).moved((scale, scale), (0.0, 0.0))
        return self.flip.objects(moved, self.size) if draws.mirrored else moved

    def pixels(self, image: NDArray[np.uint8], draws: TrainDraws) -> NDArray[np.uint8]:
        """uint8 [H, W, 3] -> [size, size, 3]."""
        image = resized(self.crop.pixels(image, draws.square), self.size, self.size)
        image = as_planes(image).transpose(1, 2, 0)  # from here on each plane by itself, which is how batches lie
        image = mirrored(image) if draws.mirrored else image
        return image if draws.distortion == Distortion() else distort(image, draws.distortion)
