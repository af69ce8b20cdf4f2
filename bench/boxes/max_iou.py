"""Assignment by IoU thresholds, from Faster R-CNN (arXiv 1506.01497, 3.1.2); SSD, TinaFace and EfficientDet use it."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.boxes.anchors import Anchors
from bench.boxes.assignment import IGNORED, NEGATIVE, Assignment
from bench.boxes.iou import pairwise_iou
from bench.errors import ConfigError

_BOXES_AT_ONCE = 16  # keeps the IoU matrix in cache: a crowd has 1000 faces, TinaFace 100,000 anchors


@dataclass(frozen=True)
class MaxIoUAssigner:
    """An anchor is positive for its best box at IoU >= `positive`, negative below `negative`, else ignored.

    `match_low_quality` gives boxes that no anchor fits well some positives, over the head of what the anchor had:
    "best_anchor": each box claims its anchor of highest IoU (equal IoU: lower index), and of two boxes the one of lower
    index gets it (SSD, EfficientDet). "ties": each box claims all anchors that reach its highest IoU, and of two boxes
    the one of higher index gets an anchor (mmdetection, vedadet). Both only for boxes whose highest IoU is at least
    `min_positive`; a box that overlaps no anchor claims none.
    """

    positive: float = 0.5
    negative: float = 0.5
    match_low_quality: Literal["none", "best_anchor", "ties"] = "none"
    min_positive: float = 0.0

    def __post_init__(self) -> None:
        if self.match_low_quality not in ("none", "best_anchor", "ties"):
            raise ConfigError(
                f"assigner: expected match_low_quality none, best_anchor or ties, found {self.match_low_quality!r}"
            )
        if not 0 < self.negative <= self.positive:
            raise ConfigError(
                f"assigner: expected 0 < negative <= positive, found negative {self.negative}, positive {self.positive}"
            )

    def __call__(self, anchors: Anchors, boxes: Tensor) -> Assignment:
        """Assigns N anchors to xyxy boxes [G, 4]; G may be 0."""
        best = anchors.boxes.new_zeros(len(anchors))  # [N] highest IoU so far
        owner = torch.zeros(len(anchors), dtype=torch.int64, device=boxes.device)
        claims: list[tuple[Tensor, Tensor, Tensor]] = []  # box, anchor, IoU: [P] each
        for first in range(0, len(boxes), _BOXES_AT_ONCE):
            iou = pairwise_iou(boxes[first : first + _BOXES_AT_ONCE], anchors.boxes)  # [g, N]
            highest = iou.amax(dim=0)
            better = ((highest > best) & (highest >= self.positive)).nonzero().squeeze(1)  # few: spares a slow argmax
            owner[better] = iou[:, better].argmax(dim=0) + first
            best = best.maximum(highest)
            if self.match_low_quality != "none":
                box, anchor = self._claims(iou)
                claims.append((box + first, anchor, iou[box, anchor]))

        gt_index = torch.where(best >= self.positive, owner, torch.where(best < self.negative, NEGATIVE, IGNORED))
        claimed_iou = best
        if claims:
            box, anchor, claim = (torch.cat(parts) for parts in zip(*claims, strict=True))
            precedence = "amin" if self.match_low_quality == "best_anchor" else "amax"
            gt_index = gt_index.scatter_reduce(0, anchor, box, precedence, include_self=False)
            wins = gt_index[anchor] == box
            claimed_iou = best.index_put((anchor[wins],), claim[wins])
        return Assignment(gt_index, claimed_iou.masked_fill(gt_index < 0, 0.0))

    def _claims(self, iou: Tensor) -> tuple[Tensor, Tensor]:
        """Low-quality claims in an IoU matrix [g, N] -> box [P], anchor [P]."""
        highest = iou.amax(dim=1)  # [g]
        box = ((highest > 0) & (highest >= self.min_positive)).nonzero().squeeze(1)
        if self.match_low_quality == "best_anchor":
            return box, iou[box].argmax(dim=1)
        reached = iou[box] == highest[box, None]
        anchor = reached.any(dim=0).nonzero().squeeze(1)
        row, column = reached[:, anchor].nonzero(as_tuple=True)
        return box[row], anchor[column]
