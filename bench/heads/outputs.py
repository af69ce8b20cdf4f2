"""What every head returns."""

from typing import NamedTuple

from torch import Tensor


class HeadOutputs(NamedTuple):
    """Maps [B, A * values, H, W] of each level, anchor-major: channel = anchor * values + value."""

    cls: list[Tensor]  # class logits, C values an anchor
    bbox: list[Tensor]  # encoded boxes, 4
    kps: list[Tensor] | None = None  # encoded keypoints, 2K
    iou: list[Tensor] | None = None  # logits of the box's expected IoU, 1
