"""Non-maximum suppression."""

from dataclasses import dataclass

import torch
from torchvision.ops import nms

from bench.boxes.geometry import full_precision
from bench.boxes.suppression.detections import Detections


@dataclass(frozen=True)
class Nms:
    """Greedy: a kept detection removes those of its group with lower scores and IoU > `iou_threshold` (strictly)."""

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
