"""What every transform takes and gives."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """One image and its objects. Transforms return a new one and leave the arrays of the old one alone.

    Where a keypoint is not visible its x and y mean nothing; transforms move them all the same.
    """

    image: NDArray[np.uint8]  # [H, W, 3] RGB
    boxes: NDArray[np.float32]  # [N, 4] xyxy pixels
    labels: NDArray[np.int64]  # [N]
    keypoints: NDArray[np.float32]  # [N, K, 3] x, y, visible
    ignore: NDArray[np.bool_]  # [N]

    def select(self, keep: NDArray[np.bool_]) -> "Sample":
        """The sample with the objects of `keep` [N] only."""
        boxes, labels = self.boxes[keep], self.labels[keep]
        return Sample(self.image, boxes, labels, self.keypoints[keep], self.ignore[keep])  # replace() takes as long

    def moved(self, scale: tuple[float, float], offset: tuple[float, float]) -> "Sample":
        """Coordinates (x, y) -> (x, y) * scale + offset; the image stays."""
        s, o = np.array(scale, np.float32), np.array(offset, np.float32)
        boxes, keypoints = (np.array(x, np.float32, order="C") for x in (self.boxes, self.keypoints))  # copies
        for points in (boxes.reshape(-1, 2, 2), keypoints[..., :2]):  # views, of contiguous arrays
            points *= s
            points += o
        return Sample(self.image, boxes, self.labels, keypoints, self.ignore)

    def within(self, keep: NDArray[np.bool_]) -> "Sample":
        """What is left of the objects of `keep` [N] in the image: boxes cut at its borders, and gone where nothing of
        them remains; keypoints beyond its borders are no longer visible."""
        height, width = self.image.shape[:2]
        boxes = self.boxes.clip(0, np.array([width, height] * 2, np.float32))
        x, y = self.keypoints[..., 0], self.keypoints[..., 1]
        inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)  # [N, K]
        keypoints = np.concatenate([self.keypoints[..., :2], self.keypoints[..., 2:] * inside[..., None]], axis=-1)
        remaining = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return replace(self, boxes=boxes, keypoints=keypoints.astype(np.float32)).select(keep & remaining)

    def centers(self) -> NDArray[np.float32]:
        """x, y of the centres of the boxes: [N, 2]."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) * np.float32(0.5)

    def centered(self) -> NDArray[np.bool_]:
        """Whose centre lies in the image, its borders left out: [N]."""
        height, width = self.image.shape[:2]
        centers = self.centers()
        inside: NDArray[np.bool_] = np.all((centers > 0) & (centers < (width, height)), axis=1)
        return inside


def as_planes(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] -> [3, H, W], contiguous: a view where `image` lies in memory as planes, else a copy."""
    planes = image.transpose(2, 0, 1)
    if planes.flags.c_contiguous and planes.flags.writeable:
        return planes
    channels = np.empty(planes.shape, np.uint8)
    cv2.split(image, list(channels))  # four times as fast as copying the transposed array
    return channels
