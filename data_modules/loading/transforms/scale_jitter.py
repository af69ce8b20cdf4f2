"""EfficientDet's scale jitter (arXiv 1911.09070, section 5.1): 0.1 to 2 times the training size, then a crop.

Consulted: the pipeline of google/automl. Differences: the border is filled before normalising, with the mean colour of
ImageNet rounded to uint8 (there it is 0 after normalising); boxes are cut at `size`, the far edge of the last pixel
(there at size - 1).
"""

from dataclasses import replace

import numpy as np

from data_modules.loading.transforms.pixels import MEAN_COLOR, Color, resized, window
from data_modules.loading.transforms.sample import Sample


class ScaleJitter:
    """Resize so that the image just fits a square of u * `size`, u uniform in `low`..`high`, and cut `size` x `size`.

    Where the resized image is larger than that, the place of the crop is uniform; where it is smaller, the right and
    the bottom are filled. Boxes are cut at the borders, and go only where nothing of them is left.

    Args:
        size: side of the training image in pixels.
        low, high: range of the scale, relative to `size`.
        fill: RGB of what lies outside the image.
    """

    def __init__(self, size: int = 512, low: float = 0.1, high: float = 2.0, fill: Color = MEAN_COLOR) -> None:
        self.size = size
        self.low = low
        self.high = high
        self.fill = fill

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = sample.image.shape[:2]
        scale = rng.uniform(self.low, self.high) * self.size / max(height, width)
        new_height, new_width = max(1, int(height * scale)), max(1, int(width * scale))
        left = int(max(0, new_width - self.size) * rng.random())
        top = int(max(0, new_height - self.size) * rng.random())
        image = window(resized(sample.image, new_height, new_width), left, top, self.size, self.size, self.fill)
        moved = sample.moved((new_width / width, new_height / height), (-left, -top))
        return replace(moved, image=image).within(np.ones(len(sample.boxes), bool))
