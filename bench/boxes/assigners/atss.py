"""Adaptive training sample selection (ATSS, arXiv 1912.02424, algorithm 1) as SCRFD uses it (arXiv 2105.04714).

Differs from the paper in the test whether an anchor's center lies in the box: SCRFD asks for a margin relative to the
box's size, the paper for 0.01 px. Differs from mmdetection in nothing but ties of distance, which it leaves to chance
and which go to the lower anchor index here.

1. For every box, and on each level, the `topk` anchors nearest to the box's center are its candidates.
2. Its threshold is the mean plus the standard deviation of the candidates' IoU with the box.
3. Positive are the candidates at or above it whose center lies inside the box.
4. Of several boxes that claim an anchor the one of highest IoU gets it.

Steps 1 to 3 look at one box alone, so they take the boxes of a whole batch as they come; in step 4 the anchor `a` of
image `i` is number `i N + a`, so that boxes of different images never meet. It equals

    for i in range(images):
        gt_index[i] = steps 1 to 4 on the used boxes of image i

Nothing here waits for the device: a claim that fails takes part with an IoU of 0, for nobody.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.boxes.anchors import Anchors
from bench.boxes.assigners.assignment import NEGATIVE, Assignment, BatchBoxes, only_image
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
        return only_image(self.assign_batch(anchors, BatchBoxes.single(boxes)))

    def assign_batch(self, anchors: Anchors, batch: BatchBoxes) -> Assignment:
        """Assigns the N anchors of each of B images to its own boxes [M, 4] -> [B, N]; M may be 0."""
        shape = batch.images, len(anchors)
        if len(batch.boxes) == 0:
            nothing = torch.full(shape, NEGATIVE, device=batch.boxes.device)
            return Assignment(nothing, anchors.boxes.new_zeros(shape))
        boxes = full_precision(batch.boxes)
        candidates = self._candidates(anchors, (boxes[:, :2] + boxes[:, 2:]) / 2)  # [M, C]
        iou = elementwise_iou(anchors.boxes[candidates], boxes[:, None])  # [M, C]
        positive = (iou >= _threshold(iou)) & _inside(anchors.centers[candidates], boxes) & batch.used[:, None]
        place = batch.image[:, None] * len(anchors) + candidates  # [M, C]
        return _highest_iou_wins(shape, place, positive, iou)

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


def _highest_iou_wins(shape: tuple[int, int], place: Tensor, claimed: Tensor, iou: Tensor) -> Assignment:
    """Settles what box `m` claims [M, C] of the anchors at `place` [M, C] in a table of `shape` (B, N)."""
    count, place = shape[0] * shape[1], place.flatten()
    best = iou.new_zeros(count).scatter_reduce(0, place, iou.where(claimed, 0.0).flatten(), "amax")  # [B N]
    wins = claimed & (iou == best[place].view_as(iou))
    box = torch.arange(len(iou), device=iou.device)[:, None]
    nobody = torch.iinfo(torch.int64).max
    owner = torch.full((count,), nobody, device=iou.device)
    owner = owner.scatter_reduce(0, place, torch.where(wins, box, nobody).flatten(), "amin")
    return Assignment(owner.masked_fill(owner == nobody, NEGATIVE).view(shape), best.view(shape))
