"""SSD's expansion (arXiv 1512.02325, section 3.6): the image somewhere on a larger canvas, for small objects."""

from dataclasses import replace

import numpy as np

from data_modules.loading.transforms.pixels import MEAN_COLOR, Color, window
from data_modules.loading.transforms.sample import Sample


class Expand:
    """With probability `p`, a canvas of 1 to `high` times both sides of the image, which lies anywhere on it.

    Every object stays whole. The size of the image changes: a resize follows.

    Args:
        p: probability.
        high: the largest ratio of the sides.
        fill: RGB of the canvas.
    """

    def __init__(self, p: float = 0.5, high: float = 4.0, fill: Color = MEAN_COLOR) -> None:
        self.p = p
        self.high = high
        self.fill = fill

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return sample
        height, width = sample.image.shape[:2]
        ratio = rng.uniform(1.0, self.high)
        new_height, new_width = int(height * ratio), int(width * ratio)
        left, top = int(rng.integers(new_width - width + 1)), int(rng.integers(new_height - height + 1))
        image = window(sample.image, -left, -top, new_height, new_width, self.fill)
        return replace(sample.moved((1.0, 1.0), (left, top)), image=image)
