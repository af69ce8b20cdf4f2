"""SSD's crop (arXiv 1512.02325, section 2.2): a patch that overlaps an object by a drawn minimum.

Consulted: the batch sampler of the released Caffe code, whose condition holds when one object meets it (the PyTorch
ports ask all objects). Difference: objects that are ignored do not count for the condition.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data_modules.loading.transforms.sample import Sample

SSD_OVERLAPS = (0.1, 0.3, 0.5, 0.7, 0.9)
Patch = tuple[int, int, int, int]  # x1, y1, x2, y2


class SSDCrop:
    """The whole image, a patch of any overlap, or one whose IoU with an object is at least o: all equally likely.

    Objects are kept where their centre lies inside the patch, and cut at its borders; there is always one that is not
    ignored, else the image stays whole. The size of the image changes: a resize follows.

    Args:
        overlaps: the values of o.
        low: the smallest side of a patch, relative to the side of the image.
        ratio: the largest ratio of width to height, and of height to width.
        tries: places tried before the image is left whole.
    """

    def __init__(
        self, overlaps: Sequence[float] = SSD_OVERLAPS, low: float = 0.3, ratio: float = 2.0, tries: int = 50
    ) -> None:
        self.overlaps = tuple(overlaps)
        self.low = low
        self.ratio = ratio
        self.tries = tries

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        choice = int(rng.integers(len(self.overlaps) + 2))
        if choice == 0:
            return sample
        minimum = (0.0, *self.overlaps)[choice - 1]
        targets = sample.select(~sample.ignore)
        for _ in range(self.tries):
            patch = self._draw(sample.image.shape[0], sample.image.shape[1], rng)
            if patch and (_iou(targets.boxes, patch) >= minimum).any() and _cut(targets, patch).centered().any():
                cut = _cut(sample, patch)
                return cut.within(cut.centered())
        return sample

    def _draw(self, height: int, width: int, rng: np.random.Generator) -> Patch | None:
        w, h = (max(1, int(side * rng.uniform(self.low, 1.0))) for side in (width, height))
        x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
        return (x, y, x + w, y + h) if 1 / self.ratio <= w / h <= self.ratio else None


def _cut(sample: Sample, patch: Patch) -> Sample:
    x1, y1, x2, y2 = patch
    return replace(sample.moved((1.0, 1.0), (-x1, -y1)), image=sample.image[y1:y2, x1:x2])


def _iou(boxes: NDArray[np.float32], patch: Patch) -> NDArray[np.float32]:
    """Of boxes [N, 4] with one patch: [N]."""
    low, high = np.maximum(boxes[:, :2], patch[:2]), np.minimum(boxes[:, 2:], patch[2:])
    shared = (high - low).clip(0).prod(axis=1)
    area = (patch[2] - patch[0]) * (patch[3] - patch[1])
    iou: NDArray[np.float32] = shared / ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + area - shared)
    return iou
