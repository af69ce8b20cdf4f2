"""Mirroring an image left to right, with the keypoints that change sides."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from data_modules.transforms.sample import Sample

FACE_SWAP = (1, 0, 2, 4, 3)  # left and right eye, nose, left and right mouth corner


class HorizontalFlip:
    """Mirrors with probability `p`: x' = W - x (pixel edges, so no -1), keypoint k takes the place of `swap[k]`."""

    def __init__(self, p: float = 0.5, swap: Sequence[int] = FACE_SWAP) -> None:
        self.p = p
        self.swap = list(swap)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return sample
        moved = sample.moved((-1.0, 1.0), (sample.image.shape[1], 0.0))
        boxes = moved.boxes[:, [2, 1, 0, 3]]
        image = np.asarray(cv2.flip(sample.image, 1), np.uint8)
        return replace(moved, image=image, boxes=boxes, keypoints=moved.keypoints[:, self.swap])
