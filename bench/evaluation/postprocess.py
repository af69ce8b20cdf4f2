"""From candidates to detections: threshold, clip, height filter, suppression, cap; for every detector."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.boxes.suppression.detections import Detections, Suppression
from bench.detectors.candidates import Candidates, Prediction


@dataclass(frozen=True)
class PostProcessor:
    """All lengths are in pixels of the candidates, which under a protocol are those of the original image.

    Args:
        suppression: what decides between overlapping detections.
        score_threshold: candidates must score strictly more.
        max_detections: per image, None keeps all.
        pre_top_k: candidates per image that enter the suppression, None lets all in.
        clip: cut boxes at the image's border before the suppression, as SCRFD's evaluation does.
        min_height: lower boxes are dropped before the suppression (TinaFace: 9).
    """

    suppression: Suppression
    score_threshold: float = 0.02
    max_detections: int | None = None
    pre_top_k: int | None = None
    clip: bool = True
    min_height: float = 0.0

    def __call__(self, candidates: Candidates) -> list[Prediction]:
        """One dict per image: boxes [n, 4], scores [n] descending, labels [n], keypoints [n, K, 3]."""
        images, classes = len(candidates.sizes), candidates.scores.shape[1]
        row, label = self.select(candidates)
        image, boxes = candidates.image[row], candidates.boxes[row].float()  # [m], [m, 4]
        if self.clip:
            limit = candidates.sizes.to(boxes).flip(1).repeat(1, 2)[image]  # [m, 4] width, height, width, height
            boxes = torch.minimum(boxes.clamp(min=0), limit)
        if self.min_height > 0:
            tall = boxes[:, 3] - boxes[:, 1] >= self.min_height
            boxes, image, row, label = boxes[tall], image[tall], row[tall], label[tall]
        keypoints = None if candidates.keypoints is None else candidates.keypoints[row].float()
        scores = candidates.scores[row, label].float()
        kept = self.suppression(Detections(boxes, scores, image * classes + label, keypoints))
        return [self.collect(kept, kept.groups // classes == i, classes) for i in range(images)]

    def select(self, candidates: Candidates) -> tuple[Tensor, Tensor]:
        """Row [m] and class [m] of what is above the threshold, the best `pre_top_k` of each image."""
        row, label = (candidates.scores > self.score_threshold).nonzero(as_tuple=True)
        if self.pre_top_k is None:
            return row, label
        order = candidates.scores[row, label].argsort(descending=True, stable=True)
        image = candidates.image[row]
        order = order[image[order].argsort(stable=True)]
        counts = torch.bincount(image, minlength=len(candidates.sizes))
        rank = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[image[order]]
        order = order[rank < self.pre_top_k]
        return row[order], label[order]

    def collect(self, kept: Detections, mask: Tensor, classes: int) -> Prediction:
        index = mask.nonzero().squeeze(1)
        index = index[kept.scores[index].argsort(descending=True, stable=True)][: self.max_detections]
        keypoints = kept.boxes.new_zeros((len(index), 0, 3))
        if kept.keypoints is not None:
            points = kept.keypoints[index]
            keypoints = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
        return {
            "boxes": kept.boxes[index],
            "scores": kept.scores[index],
            "labels": kept.groups[index] % classes,
            "keypoints": keypoints,
        }
