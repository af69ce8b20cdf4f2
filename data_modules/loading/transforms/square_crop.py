"""SCRFD's random square crop, the step that sample redistribution changes (arXiv 2105.04714, section 3.1).

A square of side int(scale * shorter side) is laid over the image, beyond its borders where it is larger; what lies
outside is filled with 128. Consulted: the released pipeline of InsightFace. Differences: a box centre that no square
can reach, or an image without a face to aim at, ends the search with a crop at any place (there the released loop
never ends); keypoints are never clipped.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data_modules.loading.transforms.pixels import window
from data_modules.loading.transforms.sample import Sample

SQUARE_CROP_SCALES = (0.3, 0.45, 0.6, 0.8, 1.0)
SQUARE_CROP_SCALES_REDISTRIBUTED = (*SQUARE_CROP_SCALES, 1.2, 1.4, 1.6, 1.8, 2.0)
Square = tuple[int, int, int]  # left, top, side in pixels of the image
_ROUNDS = 40  # of `tries` draws each, before the condition on faces is given up


class SquareCrop:
    """A square around the centre of at least one face that is not ignored.

    Args:
        scales: sides relative to the shorter side of the image; one is drawn, all equally likely.
        clip_boxes: cut boxes at the borders of the square; otherwise they keep their part outside it.
        fill: the grey value outside the image.
        tries: places tried before another scale is drawn, or before the scale grows by 1.2 where none exceeds 1.
    """

    def __init__(
        self, scales: Sequence[float] = SQUARE_CROP_SCALES, clip_boxes: bool = False, fill: int = 128, tries: int = 250
    ) -> None:
        if not scales or min(scales) <= 0:
            raise ValueError(f"expected crop scales > 0, found {list(scales)}")
        self.scales = tuple(scales)
        self.clip_boxes = clip_boxes
        self.fill = fill
        self.tries = tries

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        square = self.place(sample, rng)
        return replace(self.objects(sample, square), image=self.pixels(sample.image, square))

    def objects(self, sample: Sample, square: Square) -> Sample:
        """The objects whose centre lies strictly inside, in the coordinates of the square; the image stays whole."""
        left, top, side = square
        kept = sample.select(_inside(_centers(sample.boxes), left, top, side)).moved((1.0, 1.0), (-left, -top))
        return replace(kept, boxes=kept.boxes.clip(0, side)) if self.clip_boxes else kept

    def pixels(self, image: NDArray[np.uint8], square: Square) -> NDArray[np.uint8]:
        """The square [side, side, 3]; a view of the image where the square lies within it."""
        left, top, side = square
        return window(image, left, top, side, side, (self.fill, self.fill, self.fill))

    def place(self, sample: Sample, rng: np.random.Generator) -> Square:
        """Where the square lies; left and top are negative where it sticks out. Of the image only the shape matters."""
        height, width = sample.image.shape[:2]
        targets = _centers(sample.boxes[~sample.ignore])  # [M, 2]
        reachable = ((targets > 0) & (targets < (width, height))).all(axis=1).any()
        scale = self._draw_scale(rng)
        for _ in range(_ROUNDS if reachable else 0):
            side = _side(scale, height, width)
            for _ in range(self.tries):
                left, top = _offset(width - side, rng), _offset(height - side, rng)
                if _inside(targets, left, top, side).any():
                    return left, top, side
            scale = self._draw_scale(rng) if max(self.scales) > 1.0 else scale * 1.2
        side = _side(self._draw_scale(rng), height, width)
        return _offset(width - side, rng), _offset(height - side, rng), side

    def _draw_scale(self, rng: np.random.Generator) -> float:
        return self.scales[rng.integers(len(self.scales))]


def _side(scale: float, height: int, width: int) -> int:
    return max(1, int(scale * min(height, width)))


def _offset(room: int, rng: np.random.Generator) -> int:
    """room = image side - crop side. The upper bound is exclusive: a smaller crop never reaches the far border."""
    if room == 0:
        return 0
    return int(rng.integers(0, room) if room > 0 else rng.integers(room, 0))


def _centers(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return (boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5)  # [N, 2]


def _inside(centers: NDArray[np.float32], left: int, top: int, side: int) -> NDArray[np.bool_]:
    shifted = centers - np.array((left, top), np.float32)
    inside = (shifted > 0) & (shifted < side)  # strictly, [N, 2]
    both: NDArray[np.bool_] = inside[:, 0] & inside[:, 1]  # half the time of all(axis=1)
    return both
