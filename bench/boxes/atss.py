"""Adaptive training sample selection (ATSS, arXiv 1912.02424, algorithm 1) as SCRFD uses it (arXiv 2105.04714).

Differs from the paper in the test whether an anchor's center lies in the box: SCRFD asks for a margin relative to the
box's size, the paper for 0.01 px. Differs from mmdetection in nothing but ties of distance, which it leaves to chance
and which go to the lower anchor index here.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.boxes.anchors import Anchors
from bench.boxes.assignment import NEGATIVE, Assignment
from bench.boxes.geometry import box_area, full_precision
from bench.boxes.iou import elementwise_iou

_MARGIN = 0.001  # of sqrt(area): how far inside the box a positive anchor's center lies
_MIN_AREA = 1e-4  # square pixels


@dataclass(frozen=True)
class ATSSAssigner:
    """Candidates of a box: on each level, the `topk` anchors nearest to its center.

    Positive are the candidates with IoU >= mean + standard deviation of all the box's candidates, and with their center
    inside the box. An anchor claimed by several boxes goes to the one of highest IoU (equal IoU: lower index).
    Boxes to ignore are not handed in: their anchors are negatives, as in SCRFD.
    """

    topk: int = 9

    def __call__(self, anchors: Anchors, boxes: Tensor) -> Assignment:
        """Assigns a whole lattice of N anchors to xyxy boxes [G, 4]; G may be 0."""
        if len(boxes) == 0:
            nothing = torch.full((len(anchors),), NEGATIVE, device=boxes.device)
            return Assignment(nothing, anchors.boxes.new_zeros(len(anchors)))
        boxes = full_precision(boxes)
        candidates = self._candidates(anchors, (boxes[:, :2] + boxes[:, 2:]) / 2)  # [G, C]
        iou = elementwise_iou(anchors.boxes[candidates], boxes[:, None])  # [G, C]
        positive = (iou >= _threshold(iou)) & _inside(anchors.centers[candidates], boxes)
        box, place = positive.nonzero(as_tuple=True)  # [P] each
        return _highest_iou_wins(len(anchors), candidates[box, place], box, iou[box, place])

    def _candidates(self, anchors: Anchors, points: Tensor) -> Tensor:
        """Indices [G, C] of the candidates for box centers `points` [G, 2]."""
        first, nearest = 0, []
        for size, (rows, columns) in zip(anchors.level_sizes, anchors.grids, strict=True):
            centers = anchors.centers[first : first + size].view(rows, columns, -1, 2)
            nearest.append(first + _nearest_on_lattice(centers, points, self.topk))
            first += size
        return torch.cat(nearest, dim=1)


def _nearest_on_lattice(centers: Tensor, points: Tensor, count: int) -> Tensor:
    """The `count` anchors of one level nearest to each point, by index [G, min(count, all)].

    centers [rows, columns, A, 2], points [G, 2]. On a lattice the nearest n cells lie in the nearest n columns and the
    nearest n rows, so n^2 cells are looked at in place of all; the A anchors of a cell share its center.
    """
    columns, per_cell = centers.shape[1:3]
    cells = math.ceil(count / per_cell)
    column, dx = _nearest_on_line(centers[0, :, 0, 0], points[:, 0], cells)  # [G, n] each
    row, dy = _nearest_on_line(centers[:, 0, 0, 1], points[:, 1], cells)
    distance = (dy[:, :, None] + dx[:, None, :]).flatten(1)  # [G, n * n], squared
    cell = (row[:, :, None] * columns + column[:, None, :]).flatten(1)  # ascending, hence ties to the lower index
    cell = cell.gather(1, distance.argsort(dim=1, stable=True)[:, :cells])
    anchor = cell[:, :, None] * per_cell + torch.arange(per_cell, device=cell.device)
    return anchor.flatten(1)[:, :count]


def _nearest_on_line(line: Tensor, points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` places of `line` [n] nearest to each of `points` [G], ascending, and their squared distances."""
    squared = (line - points[:, None]).square()  # [G, n]
    places = squared.argsort(dim=1, stable=True)[:, :count].sort(dim=1).values
    return places, squared.gather(1, places)


def _threshold(iou: Tensor) -> Tensor:
    """Mean plus unbiased standard deviation over the candidates: [G, C] -> [G, 1]."""
    correction = min(1, iou.shape[1] - 1)  # a lone candidate has no unbiased deviation; its threshold is its own IoU
    return iou.mean(dim=1, keepdim=True) + iou.std(dim=1, keepdim=True, correction=correction)


def _inside(centers: Tensor, boxes: Tensor) -> Tensor:
    """Whether centers [G, C, 2] lie in boxes [G, 4] by the margin -> bool [G, C]."""
    edges = torch.cat([centers - boxes[:, None, :2], boxes[:, None, 2:] - centers], dim=-1)  # [G, C, 4] l, t, r, b
    side = box_area(boxes).clamp(min=_MIN_AREA).sqrt()  # [G]
    return edges.amin(dim=-1) / side[:, None] > _MARGIN


def _highest_iou_wins(count: int, anchor: Tensor, box: Tensor, iou: Tensor) -> Assignment:
    """Settles P claims (anchor, box, IoU) [P] on `count` anchors."""
    best = iou.new_zeros(count).scatter_reduce(0, anchor, iou, "amax")  # [N]
    wins = iou == best[anchor]
    nobody = torch.iinfo(torch.int64).max
    owner = torch.full((count,), nobody, device=box.device).scatter_reduce(0, anchor[wins], box[wins], "amin")
    return Assignment(owner.masked_fill(owner == nobody, NEGATIVE), best)
