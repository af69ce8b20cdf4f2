"""Detections before and after suppression.

A suppression is a callable Detections -> Detections. It works on all images and classes of a batch at once: only
detections of one group (image and class) meet. Its result is sorted by score, and input order settles equal scores.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Detections:
    """N detections of a batch in one row."""

    boxes: Tensor  # [N, 4] xyxy pixels
    scores: Tensor  # [N], not negative
    groups: Tensor  # int64 [N]: image * classes + class
    keypoints: Tensor | None = None  # [N, K, 2] pixels

    def __len__(self) -> int:
        return self.boxes.shape[0]

    def select(self, index: Tensor) -> "Detections":
        """The detections at `index` (int64 [n] or bool [N]), in its order."""
        keypoints = None if self.keypoints is None else self.keypoints[index]
        return Detections(self.boxes[index], self.scores[index], self.groups[index], keypoints)

    def sorted_by_score(self) -> "Detections":
        """Highest score first; equal scores keep their order."""
        return self.select(self.scores.argsort(descending=True, stable=True))


Suppression = Callable[[Detections], Detections]
