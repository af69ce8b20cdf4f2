"""What several transforms do to the pixels alone: uint8 RGB [H, W, 3] in, uint8 RGB out."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Color = tuple[int, int, int]
MEAN_COLOR = (124, 116, 104)  # RGB: the mean of ImageNet, rounded


def resized(image: Image, height: int, width: int) -> Image:
    """Bilinear; a view where the size stays."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def window(image: Image, left: int, top: int, height: int, width: int, fill: Color) -> Image:
    """The rectangle whose corner lies at (left, top), in or out of the image; a view where it lies within."""
    inner = image[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if inner.shape[:2] == (height, width):
        return inner
    if inner.size == 0:
        return np.full((height, width, 3), list(fill), np.uint8)
    before_y, before_x = max(-top, 0), max(-left, 0)
    after_y, after_x = height - before_y - inner.shape[0], width - before_x - inner.shape[1]
    sides = (before_y, after_y, before_x, after_x)
    return np.asarray(cv2.copyMakeBorder(inner, *sides, cv2.BORDER_CONSTANT, value=list(fill)), np.uint8)
