"""Blending: BlazeFace's alternative to suppression (arXiv 1907.05047, section 3.3), by MediaPipe's rule.

The paper averages overlapping predictions and names no weights; MediaPipe's weighted NMS uses the scores. Where a seed
overlaps nothing, not even itself (no area), MediaPipe drops the rest of the image; here it is kept unchanged and
the others are blended.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.boxes.geometry import full_precision
from bench.boxes.suppression.detections import Detections
from bench.boxes.suppression.rounds import REMOVED, Rows, greedy_rounds

_LEAST_WEIGHT = 1e-12  # of the seed: a cluster of zero scores is its seed, not 0 / 0


@dataclass(frozen=True)
class Blending:
    """Merges detections into the best of their group, the seed, at IoU > `iou_threshold` (strictly) with the seed.

    Box and keypoints become the mean of the cluster weighted by score; the score stays the seed's.
    """

    iou_threshold: float = 0.3

    def __call__(self, detections: Detections) -> Detections:
        cluster = torch.arange(len(detections), device=detections.groups.device)  # [N] the seed of each detection

        def merge(rows: Rows, column: Tensor) -> Tensor:
            merged = (rows.iou_with(column) > self.iou_threshold) & (rows.scores >= 0)  # [R, C]
            seed = rows.index.gather(1, column).expand_as(rows.index)
            cluster[rows.index[merged]] = seed[merged]
            return rows.scores.masked_fill(merged, REMOVED)

        seeds = greedy_rounds(detections, merge)[0].sort().values
        return _blended(detections, cluster, seeds).sorted_by_score()


def _blended(detections: Detections, cluster: Tensor, seeds: Tensor) -> Detections:
    """The detections at `seeds` [S] with boxes and keypoints averaged over their cluster [N]."""
    weight = full_precision(detections.scores).clone()
    weight[seeds] = weight[seeds].clamp(min=_LEAST_WEIGHT)
    total = torch.zeros_like(weight).index_add(0, cluster, weight)  # [N], of use at seeds
    share = weight / total[cluster]  # [N]; exactly 1 for a cluster of one, which stays unchanged

    def mean(values: Tensor) -> Tensor:  # [N, V] -> [S, V]
        weighted = full_precision(values) * share[:, None]
        return torch.zeros_like(weighted).index_add(0, cluster, weighted)[seeds]

    keypoints = detections.keypoints
    if keypoints is not None:
        keypoints = mean(keypoints.flatten(1)).view(-1, *keypoints.shape[1:])
    return Detections(mean(detections.boxes), detections.scores[seeds], detections.groups[seeds], keypoints)
