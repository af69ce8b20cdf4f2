"""Rotation about the centre of the image: +-45 degrees, as the front model of MediaPipe's BlazeFace was trained with
(google-ai-edge/mediapipe, issue 808; the paper, arXiv 1907.05047, does not say)."""

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from data_modules.loading.transforms.sample import Sample


class Rotate:
    """With probability `p`, a rotation uniform in -`degrees`..`degrees`, counterclockwise; the size of the image stays.

    A box becomes the box around its ellipse, which for a face is what an annotator would draw; the box around its
    turned corners would grow by half at 45 degrees. It is cut at the borders of the image, and goes where its centre
    leaves the image. Keypoints beyond the borders are no longer visible.

    Args:
        degrees: the largest angle, 0 to 180.
        p: probability.
        fill: the grey value outside the image.
    """

    def __init__(self, degrees: float = 45.0, p: float = 1.0, fill: int = 128) -> None:
        self.degrees = degrees
        self.p = p
        self.fill = fill

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.p:
            return sample
        return self.turned(sample, rng.uniform(-self.degrees, self.degrees))

    def turned(self, sample: Sample, degrees: float) -> Sample:
        """`sample` turned by `degrees`."""
        height, width = sample.image.shape[:2]
        # OpenCV speaks of the centres of pixels, half a pixel from the edges that boxes speak of.
        about = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        border = (cv2.BORDER_CONSTANT, [self.fill] * 3)
        image = cv2.warpAffine(sample.image, about, (width, height), None, cv2.INTER_LINEAR, *border)
        turn, middle = about[:, :2].astype(np.float32), np.array([width / 2, height / 2], np.float32)
        points = (sample.keypoints[..., :2] - middle) @ turn.T + middle
        moved = replace(
            sample,
            image=np.asarray(image, np.uint8),
            boxes=_ellipse_hulls(sample, degrees, turn, middle),
            keypoints=np.concatenate([points, sample.keypoints[..., 2:]], axis=-1).astype(np.float32),
        )
        return moved.within(moved.centered())


def _ellipse_hulls(
    sample: Sample, degrees: float, turn: NDArray[np.float32], middle: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The boxes [N, 4] around the turned ellipses, half a width being sqrt((a cos)^2 + (b sin)^2)."""
    centers = (sample.centers() - middle) @ turn.T + middle
    half = (sample.boxes[:, 2:] - sample.boxes[:, :2]) / 2  # [N, 2]: a, b
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    weights = np.array([[cos, sin], [sin, cos]], np.float32) ** 2
    reach = np.sqrt(half**2 @ weights.T)
    return np.concatenate([centers - reach, centers + reach], axis=1).astype(np.float32)
