"""Resizing rules. Boxes and keypoints follow the true ratio of new to old size, x and y apart."""

from dataclasses import dataclass, replace

import numpy as np

from data_modules.loading.transforms.pixels import Image, resized, window
from data_modules.loading.transforms.sample import Sample


def resize(sample: Sample, height: int, width: int) -> Sample:
    """The sample at `height` x `width` pixels, bilinear."""
    old_height, old_width = sample.image.shape[:2]
    if (height, width) == (old_height, old_width):
        return sample
    moved = sample.moved((width / old_width, height / old_height), (0.0, 0.0))
    return replace(moved, image=resized(sample.image, height, width))


def resize_by(sample: Sample, scale: float) -> Sample:
    """The sample with both sides times `scale`, rounded half up."""
    height, width = sample.image.shape[:2]
    return resize(sample, max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))


class ResizeRule:
    """What rules of evaluation have in common: they take a sample, or an image alone, as multi-scale testing has it."""

    def __call__(self, sample: Sample) -> Sample:
        raise NotImplementedError

    def pixels(self, image: Image) -> Image:
        """uint8 [H, W, 3], resized as in a sample."""
        nothing = (
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.int64),
            np.zeros((0, 0, 3), np.float32),
            np.zeros(0, bool),
        )
        return self(Sample(image, *nothing)).image


@dataclass(frozen=True)
class KeepSize(ResizeRule):
    """The original size; batches are ragged."""

    def __call__(self, sample: Sample) -> Sample:
        return sample


@dataclass(frozen=True)
class ResizeLongSide(ResizeRule):
    """The ratio kept, the longer side `size` pixels, up or down: 640 is SCRFD's "VGA" test."""

    size: int = 640

    def __call__(self, sample: Sample) -> Sample:
        return resize_by(sample, self.size / max(sample.image.shape[:2]))


@dataclass(frozen=True)
class ResizeShortLong(ResizeRule):
    """The ratio kept, as large as a shorter side <= `short` and a longer side <= `long` allow: TinaFace's test rule."""

    short: int = 1100
    long: int = 1650

    def __call__(self, sample: Sample) -> Sample:
        height, width = sample.image.shape[:2]
        return resize_by(sample, min(self.short / min(height, width), self.long / max(height, width)))


class Stretch(ResizeRule):
    """`size` x `size`, whatever the ratio of the sides was. A step of training, and a rule of evaluation."""

    def __init__(self, size: int = 300) -> None:
        self.size = size

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Sample:
        return resize(sample, self.size, self.size)


class Letterbox:
    """The ratio kept, the longer side `size`, and the square filled up: a step of training only.

    In evaluation the data module keeps the ratio (`ResizeLongSide`) and the detector pads.

    Args:
        size: side of the square in pixels.
        fill: the grey value beside the image.
        center: the image in the middle; otherwise in the top left corner.
    """

    def __init__(self, size: int = 640, fill: int = 0, center: bool = False) -> None:
        self.size = size
        self.fill = fill
        self.center = center

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None) -> Sample:
        small = ResizeLongSide(self.size)(sample)
        height, width = small.image.shape[:2]
        left, top = ((self.size - width) // 2, (self.size - height) // 2) if self.center else (0, 0)
        image = window(small.image, -left, -top, self.size, self.size, (self.fill, self.fill, self.fill))
        return replace(small.moved((1.0, 1.0), (left, top)), image=image)
