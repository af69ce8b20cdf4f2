"""Greedy suppression in rounds, all groups at once.

1. The detections of each group fill one row of a padded table; groups of like size share a table.
2. In a round, every row selects the detection of highest score among those it has left.
3. `step` gives the scores of the others after that: as they were, lower, or removed. The selected one is removed.
4. Rounds go on until no row has a detection left; every 32 rounds the table is packed without what was removed.

A round is a handful of tensor operations whatever the number of groups. The result equals the plain loop

    for group in groups:
        while group has detections:
            best = the one of highest score; select it and remove it from the group
            scores of the group = step(group, best)
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.boxes.geometry import full_precision
from bench.boxes.iou import elementwise_iou
from bench.boxes.suppression.detections import Detections

REMOVED = -1.0  # the score of padding and of detections selected or suppressed; others are not negative
_PACK_EVERY = 32  # rounds
_SMALL_GROUP = 64  # detections: below that, padding costs less than a table more


@dataclass(frozen=True)
class Rows:
    """R groups of at most C detections, each row in input order."""

    index: Tensor  # int64 [R, C] into the detections
    corners: Tensor  # [4, R, C]: coordinate first, so that each is contiguous
    scores: Tensor  # [R, C], REMOVED where there is nothing

    def best(self) -> tuple[Tensor, Tensor]:
        """Each row's highest score [R] and its column [R, 1]; equal scores: first in input order."""
        score, column = self.scores.max(dim=1, keepdim=True)
        return score.squeeze(1), column

    def iou_with(self, column: Tensor) -> Tensor:
        """IoU of all boxes with the one in their row's `column` [R, 1] -> [R, C]."""
        one = self.corners.gather(2, column.expand(4, -1, 1))  # [4, R, 1]
        return elementwise_iou(self.corners.movedim(0, -1), one.movedim(0, -1))


def greedy_rounds(detections: Detections, step: Callable[[Rows, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Select the best detection of every group until none is left -> indices [T] selected, their scores then [T].

    `step(rows, column)` gives the scores [R, C] after the detections in `column` [R, 1] are selected; REMOVED for those
    to be dropped. A selected one is removed in any case: without area it overlaps nothing, not even itself, and the
    rounds would not end.
    """
    selected, scores = [detections.groups.new_empty(0)], [full_precision(detections.scores.new_empty(0))]
    for rows in _tables(detections):
        for indices, values in _rounds(rows, step):
            selected.append(indices)
            scores.append(values)
    return torch.cat(selected), torch.cat(scores)


def _rounds(rows: Rows, step: Callable[[Rows, Tensor], Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    for done in itertools.count(1):
        if rows.index.numel() == 0:
            return
        score, column = rows.best()
        left = score >= 0
        if not left.any():
            return
        yield rows.index.gather(1, column).squeeze(1)[left], score[left]
        after = step(rows, column).scatter(1, column, REMOVED)
        rows = Rows(rows.index, rows.corners, torch.where(rows.scores >= 0, after, REMOVED))
        if done % _PACK_EVERY == 0:
            rows = _packed(rows)


def _tables(detections: Detections) -> Iterator[Rows]:
    """Groups of like size share a table: beside one class of 5000 detections, 79 small ones would be mostly padding."""
    _, row, counts = torch.unique(detections.groups, return_inverse=True, return_counts=True)
    doublings = counts.clamp(min=_SMALL_GROUP).log2().ceil()[row]  # [N]
    for size in doublings.unique().tolist():
        members = (doublings == size).nonzero().squeeze(1)
        index = members[row[members].argsort(stable=True)]  # by group, in each in input order
        corners, scores = full_precision(detections.boxes[index]).T, full_precision(detections.scores[index])
        yield _fill(row[index], index, corners, scores)


def _packed(rows: Rows) -> Rows:
    """The detections left, in the smallest table."""
    row, column = (rows.scores >= 0).nonzero(as_tuple=True)  # row by row, hence still in input order
    return _fill(row, rows.index[row, column], rows.corners[:, row, column], rows.scores[row, column])


def _fill(group: Tensor, index: Tensor, corners: Tensor, scores: Tensor) -> Rows:
    """A table of n detections in ascending order of `group` [n]; index [n], corners [4, n], scores [n]."""
    _, row, counts = torch.unique_consecutive(group, return_inverse=True, return_counts=True)
    column = torch.arange(len(group), device=group.device) - (counts.cumsum(0) - counts)[row]
    shape = (len(counts), int(counts.max()) if len(counts) else 0)
    return Rows(
        index=index.new_zeros(shape).index_put((row, column), index),
        corners=torch.stack([axis.new_zeros(shape).index_put((row, column), axis) for axis in corners]),
        scores=scores.new_full(shape, REMOVED).index_put((row, column), scores),
    )
