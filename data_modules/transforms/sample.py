"""What every transform takes and gives."""

from dataclasses import dataclass, replace

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
        return replace(
            self,
            boxes=self.boxes[keep],
            labels=self.labels[keep],
            keypoints=self.keypoints[keep],
            ignore=self.ignore[keep],
        )

    def moved(self, scale: tuple[float, float], offset: tuple[float, float]) -> "Sample":
        """Coordinates (x, y) -> (x, y) * scale + offset; the image stays."""
        s, o = np.asarray(scale, np.float32), np.asarray(offset, np.float32)
        boxes = (self.boxes.reshape(-1, 2, 2) * s + o).reshape(-1, 4)
        points = np.concatenate([self.keypoints[..., :2] * s + o, self.keypoints[..., 2:]], axis=-1)
        return replace(self, boxes=boxes.astype(np.float32), keypoints=points.astype(np.float32))
