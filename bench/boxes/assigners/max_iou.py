"""Assignment by IoU thresholds, from Faster R-CNN (arXiv 1506.01497, 3.1.2); SSD, TinaFace and EfficientDet use it.

1. The IoU of boxes and anchors, some rows of boxes at a time.
2. Every anchor's best box among those of its image: the first that reaches the highest IoU.
3. Thresholds make it positive, negative or ignored.
4. Boxes claim anchors of low quality, over the head of what these had.

The rows are the boxes of a whole batch, image after image; "among those of its image" is a reduction by the image of
the row. It equals

    for i in range(images):
        gt_index[i] = steps 1 to 4 on the used boxes of image i

and never waits for the device. A box that is not used has an IoU of -1 with everything.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.boxes.anchors import Anchors
from bench.boxes.assigners.assignment import IGNORED, NEGATIVE, Assignment, BatchBoxes, only_image
from bench.boxes.iou import pairwise_iou
from bench.errors import ConfigError

_AT_ONCE = 1 << 21  # values of the IoU matrix: keeps it in cache, for a crowd has 1000 faces, TinaFace 100,000 anchors
_NOBODY = torch.iinfo(torch.int64).max


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
        return only_image(self.assign_batch(anchors, BatchBoxes.single(boxes)))

    def assign_batch(self, anchors: Anchors, batch: BatchBoxes) -> Assignment:
        """Assigns the N anchors of each of B images to its own boxes [M, 4] -> [B, N]; M may be 0."""
        best = anchors.boxes.new_zeros(batch.images, len(anchors))  # [B, N] highest IoU so far
        owner = torch.full_like(best, _NOBODY, dtype=torch.int64)  # [B, N] the first box that reaches it
        claimant = torch.full_like(owner, _NOBODY if self.match_low_quality == "best_anchor" else NEGATIVE)
        peaks = [best.new_empty(0)]  # each box's highest IoU
        step = max(1, _AT_ONCE // max(len(anchors), 1))
        for first in range(0, len(batch.boxes), step):
            rows = slice(first, first + step)
            image, used = batch.image[rows], batch.used[rows]
            box = torch.arange(first, first + len(image), device=image.device)  # [m]
            iou = pairwise_iou(batch.boxes[rows], anchors.boxes).masked_fill(~used[:, None], -1.0)  # [m, N]
            best, owner = _better(best, owner, iou, image, box)
            peaks.append(iou.amax(dim=1))
            if self.match_low_quality != "none":
                claimant = self._claimed(claimant, iou, peaks[-1], image, box)
        gt_index = torch.where(best >= self.positive, owner, torch.where(best < self.negative, NEGATIVE, IGNORED))
        if self.match_low_quality != "none" and len(batch.boxes):
            claimed = (claimant >= 0) & (claimant < _NOBODY)
            gt_index = torch.where(claimed, claimant, gt_index)
            best = torch.where(claimed, torch.cat(peaks)[claimant.where(claimed, 0)], best)
        return Assignment(gt_index, best.masked_fill(gt_index < 0, 0.0))

    def _claimed(self, claimant: Tensor, iou: Tensor, peak: Tensor, image: Tensor, box: Tensor) -> Tensor:
        """Who claims each anchor [B, N] after the claims of m more boxes: IoU [m, N], its row maxima, image, index."""
        claims = (peak > 0) & (peak >= self.min_positive)  # [m]
        if self.match_low_quality == "ties":
            reached = (iou == peak[:, None]) & claims[:, None]
            return _reduced(claimant, image, torch.where(reached, box[:, None], NEGATIVE), "amax")
        anchor = iou.argmax(dim=1)
        place, wanted = image * iou.shape[1] + anchor, torch.where(claims, box, _NOBODY)
        return claimant.flatten().scatter_reduce(0, place, wanted, "amin").view_as(claimant)


def _better(best: Tensor, owner: Tensor, iou: Tensor, image: Tensor, box: Tensor) -> tuple[Tensor, Tensor]:
    """Highest IoU and its first box [B, N] after m more boxes: IoU [m, N], image and index [m]."""
    highest = _reduced(best, image, iou, "amax")
    reached = torch.where(iou == highest[image], box[:, None], _NOBODY)  # [m, N]
    first = _reduced(torch.full_like(owner, _NOBODY), image, reached, "amin")
    return highest, torch.where(highest > best, first, owner)


def _reduced(table: Tensor, row: Tensor, values: Tensor, reduction: Literal["amax", "amin"]) -> Tensor:
    """`table` [B, N] with values [m, N] taken into its rows `row` [m]."""
    return table.scatter_reduce(0, row[:, None].expand_as(values), values, reduction)
