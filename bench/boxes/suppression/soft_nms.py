"""Soft-NMS (Bodla et al., arXiv 1704.04503): scores of overlapping detections are lowered, not removed."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.boxes.suppression.detections import Detections
from bench.boxes.suppression.rounds import REMOVED, Rows, greedy_rounds
from bench.errors import ConfigError


@dataclass(frozen=True)
class SoftNms:
    """Selects the best detection of a group, lowers the scores of the others by their IoU with it, and so on.

    "gaussian" multiplies a score by exp(-IoU^2 / sigma); "linear" by 1 - IoU where IoU > `iou_threshold`. Detections
    below `score_threshold`, at first or by decay, are dropped. The scores that come out are the lowered ones.
    TensorFlow's operation calls half of this `sigma` sigma.
    """

    sigma: float = 0.5
    method: Literal["gaussian", "linear"] = "gaussian"
    iou_threshold: float = 0.3
    score_threshold: float = 0.001

    def __post_init__(self) -> None:
        if self.method not in ("gaussian", "linear"):
            raise ConfigError(f"soft-NMS: expected method gaussian or linear, found {self.method!r}")
        if self.sigma <= 0:
            raise ConfigError(f"soft-NMS: expected sigma > 0, found {self.sigma}")

    def __call__(self, detections: Detections) -> Detections:
        detections = detections.select(detections.scores >= self.score_threshold)
        selected, scores = greedy_rounds(detections, self._decayed)
        selected, order = selected.sort()  # back in input order, which settles equal scores
        result = detections.select(selected)
        return Detections(result.boxes, scores[order], result.groups, result.keypoints).sorted_by_score()

    def _decayed(self, rows: Rows, column: Tensor) -> Tensor:
        iou = rows.iou_with(column)
        if self.method == "gaussian":
            factor = (iou.square() / -self.sigma).exp()
        else:
            factor = torch.where(iou > self.iou_threshold, 1 - iou, 1.0)
        scores = rows.scores * factor
        return scores.masked_fill(scores < self.score_threshold, REMOVED)
