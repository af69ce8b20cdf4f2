"""Resizing rules. Boxes and keypoints follow the true ratio of new to old size, x and y apart."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from data_modules.transforms.sample import Sample


def resize(sample: Sample, height: int, width: int) -> Sample:
    """The sample at `height` x `width` pixels, bilinear."""
    old_height, old_width = sample.image.shape[:2]
    if (height, width) == (old_height, old_width):
        return sample
    image = np.asarray(cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return replace(sample.moved((width / old_width, height / old_height), (0.0, 0.0)), image=image)


def resize_by(sample: Sample, scale: float) -> Sample:
    """The sample with both sides times `scale`, rounded half up."""
    height, width = sample.image.shape[:2]
    return resize(sample, max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))


@dataclass(frozen=True)
class KeepSize:
    """The original size; batches are ragged."""

    def __call__(self, sample: Sample) -> Sample:
        return sample


@dataclass(frozen=True)
class ResizeLongSide:
    """The ratio kept, the longer side `size` pixels, up or down: 640 is SCRFD's "VGA" test."""

    size: int = 640

    def __call__(self, sample: Sample) -> Sample:
        return resize_by(sample, self.size / max(sample.image.shape[:2]))


@dataclass(frozen=True)
class ResizeShortLong:
    """The ratio kept, as large as a shorter side <= `short` and a longer side <= `long` allow: TinaFace's test rule."""

    short: int = 1100
    long: int = 1650

    def __call__(self, sample: Sample) -> Sample:
        height, width = sample.image.shape[:2]
        return resize_by(sample, min(self.short / min(height, width), self.long / max(height, width)))
