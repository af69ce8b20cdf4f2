"""Detections before and after suppression, and non-maximum suppression itself.

A suppression is a callable Detections -> Detections. It works on all images and classes of a batch at once: only
detections of one group (image and class) meet. Its result is sorted by score, and input order settles equal scores.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import nms

from bench.boxes.geometry import full_precision


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


@dataclass(frozen=True)
class Nms:
    """Greedy suppression: a detection falls to a better one of its group at IoU > `iou_threshold` (strictly)."""

    iou_threshold: float

    def __call__(self, detections: Detections) -> Detections:
        boxes = full_precision(detections.boxes)
        scores = detections.scores.to(boxes)  # of one dtype, as nms demands
        order = detections.groups.argsort(stable=True)
        counts = torch.unique(detections.groups, return_counts=True)[1].tolist()
        # Group by group: torchvision's batched_nms shifts groups apart instead, and at 1000 groups of 1000 px
        # float32 leaves the shifted coordinates a resolution of 1/16 px.
        kept = [
            index[nms(boxes[index], scores[index], self.iou_threshold)]  # [n] of one group
            for index in torch.split(order, counts)
        ]
        if not kept:
            return detections
        return detections.select(torch.cat(kept).sort().values).sorted_by_score()
