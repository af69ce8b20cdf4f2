"""Scales of faces and of the anchors that learn them, counted: SCRFD's figures 3 and 4 (arXiv 2105.04714).

The scale of a box is the side of the square of its area, sqrt(w h).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.boxes.anchors import Anchors
from bench.boxes.assigners.assignment import Assignment

Float = NDArray[np.float64]

EDGES = (0, 4, 8, 16, 32, 64, 128, 256, 512)  # pixels; the last bin has no upper end


def box_scales(boxes: Float) -> Float:
    """[N] of xyxy boxes [N, 4]; 0 where a side is zero or negative."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    scales: Float = np.sqrt(np.maximum(width, 0) * np.maximum(height, 0))
    return scales


def fractions_below(scales: Float, limits: Sequence[float]) -> list[float]:
    """The fraction of `scales` [N] under each limit, which itself is not counted; raises ValueError for N = 0."""
    if not len(scales):
        raise ValueError("expected at least one scale, found none")
    counts = np.searchsorted(np.sort(scales), np.asarray(limits, np.float64), side="left")
    return [int(count) / len(scales) for count in counts]


def bin_names(edges: Sequence[int] = EDGES) -> list[str]:
    """`0-4`, ..., `512+`."""
    return [f"{low}-{high}" for low, high in itertools.pairwise(edges)] + [f"{edges[-1]}+"]


def count_in_bins(scales: Float, edges: Sequence[int] = EDGES) -> NDArray[np.int64]:
    """How many of `scales` [N] lie in [edge, next edge), for each of `bin_names`; those below the first in none."""
    places = np.searchsorted(np.asarray(edges), scales, side="right") - 1
    return np.bincount(places[places >= 0], minlength=len(edges)).astype(np.int64)


@dataclass
class EpochCounts:
    """Faces, and the anchors that an assigner gives them, summed over images.

    Args:
        anchors: those of a training image.
    """

    anchors: Anchors
    images: int = 0
    faces: int = 0
    faces_without_anchor: int = 0  # no anchor learns them
    faces_by_scale: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(EDGES), np.int64))
    positives: Tensor = field(init=False)  # int64 [N]: how often each anchor was positive

    def __post_init__(self) -> None:
        self.positives = torch.zeros(len(self.anchors), dtype=torch.int64)

    def add(self, boxes: Tensor, assignment: Assignment) -> None:
        """One image: its boxes [G, 4] and what its N anchors learn."""
        matched = assignment.gt_index[assignment.positive]
        self.images += 1
        self.faces += len(boxes)
        self.faces_without_anchor += len(boxes) - len(np.unique(matched.numpy()))
        self.faces_by_scale += count_in_bins(box_scales(boxes.double().numpy()))
        self.positives += assignment.positive

    def positives_by_anchor_scale(self) -> dict[str, int]:
        """Anchor scale in pixels -> positives; anchors of several ratios but one area count together."""
        extents = self.anchors.boxes[:, 2:] - self.anchors.boxes[:, :2]
        return self._by(extents.double().prod(dim=1).sqrt().mul(10).round().div(10))

    def positives_by_stride(self) -> dict[str, int]:
        """Stride -> positives."""
        return self._by(self.anchors.strides)

    def _by(self, key: Tensor) -> dict[str, int]:
        values, place = np.unique(key.numpy(), return_inverse=True)  # ascending
        sums = np.zeros(len(values), np.int64)
        np.add.at(sums, place, self.positives.numpy())
        return {f"{value:g}": count for value, count in zip(values.tolist(), sums.tolist(), strict=True)}
