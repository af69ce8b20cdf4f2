"""From candidates (every anchor, decoded) to detections: threshold, clip, suppression, cap; for every detector."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.boxes.suppression import Detections

Prediction = dict[str, Tensor]


@dataclass
class Candidates:
    """What a detector proposes before suppression, in pixels of its input."""

    boxes: Tensor  # [B, N, 4]
    scores: Tensor  # [B, N, C] probabilities
    keypoints: Tensor | None  # [B, N, K, 2]
    sizes: Tensor  # [B, 2] height and width of each image without its padding
    scales: Tensor | None = None  # [B, 2] resized over original, x and y; None: the images were not resized


@dataclass(frozen=True)
class PostProcessor:
    """
    Args:
        suppression: what decides between overlapping detections.
        score_threshold: candidates must score strictly more.
        max_detections: per image, None keeps all.
        pre_top_k: candidates per image that enter the suppression, None lets all in.
        clip: cut boxes at the image's border before the suppression, as SCRFD's evaluation does.
        min_height: lower boxes are dropped before the suppression, in pixels of the original image (TinaFace: 9).
    """

    suppression: Callable[[Detections], Detections]
    score_threshold: float = 0.02
    max_detections: int | None = None
    pre_top_k: int | None = None
    clip: bool = True
    min_height: float = 0.0

    def __call__(self, candidates: Candidates) -> list[Prediction]:
        """One dict per image: boxes [n, 4], scores [n] descending, labels [n], keypoints [n, K, 3]."""
        images, classes = candidates.scores.shape[0], candidates.scores.shape[2]
        image, anchor, label = self.select(candidates.scores)
        boxes = candidates.boxes[image, anchor].float()  # [M, 4]
        if self.clip:
            limit = candidates.sizes.to(boxes).flip(1).repeat(1, 2)[image]  # [M, 4] width, height, width, height
            boxes = torch.minimum(boxes.clamp(min=0), limit)
        if self.min_height > 0:
            tall = self.tall(boxes, image, candidates.scales)
            boxes, image, anchor, label = boxes[tall], image[tall], anchor[tall], label[tall]
        keypoints = None if candidates.keypoints is None else candidates.keypoints[image, anchor].float()
        scores = candidates.scores[image, anchor, label].float()
        kept = self.suppression(Detections(boxes, scores, image * classes + label, keypoints))
        return [self.collect(kept, kept.groups // classes == i, classes) for i in range(images)]

    def tall(self, boxes: Tensor, image: Tensor, scales: Tensor | None) -> Tensor:
        """bool [M]: which boxes are at least `min_height` high in the original of their image."""
        heights = boxes[:, 3] - boxes[:, 1]
        return heights >= self.min_height * (1.0 if scales is None else scales.to(boxes)[image, 1])

    def select(self, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image, anchor and class of the candidates above the threshold, at most `pre_top_k` an image."""
        image, anchor, label = (scores > self.score_threshold).nonzero(as_tuple=True)
        if self.pre_top_k is None:
            return image, anchor, label
        order = scores[image, anchor, label].argsort(descending=True, stable=True)
        order = order[image[order].argsort(stable=True)]
        counts = torch.bincount(image, minlength=len(scores))
        rank = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[image[order]]
        order = order[rank < self.pre_top_k]
        return image[order], anchor[order], label[order]

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
