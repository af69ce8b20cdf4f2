"""What an assigner answers: which ground-truth box each anchor is to learn."""

from dataclasses import dataclass

from torch import Tensor

NEGATIVE = -1
IGNORED = -2


@dataclass(frozen=True)
class Assignment:
    """Of N anchors to G ground-truth boxes."""

    gt_index: Tensor  # int64 [N]: the box of a positive anchor, NEGATIVE or IGNORED
    iou: Tensor  # float [N]: IoU of a positive anchor with its box, 0 elsewhere

    @property
    def positive(self) -> Tensor:
        """bool [N]"""
        return self.gt_index >= 0

    @property
    def ignored(self) -> Tensor:
        """bool [N]: neither positive nor negative, to be left out of the loss."""
        return self.gt_index == IGNORED
