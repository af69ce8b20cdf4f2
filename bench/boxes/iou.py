"""Intersection over union of xyxy boxes, and DIoU (Zheng et al., arXiv 1911.08287, eq. 7)."""

import torch
from torch import Tensor

from bench.boxes.geometry import box_area, full_precision

_TINY = 1e-12  # square pixels: two boxes without area have an IoU of 0, not 0 / 0


def pairwise_iou(a: Tensor, b: Tensor, pixel: float = 0.0) -> Tensor:
    """IoU of every box of `a` [N, 4] with every box of `b` [M, 4] -> [N, M], float32 (float64 if either is).

    `pixel=1.0` is the convention of WIDER FACE and Matlab, where a box covers its last pixel: width = x2 - x1 + 1.
    """
    # Coordinate by coordinate in memory: the strides of [N, 4] would halve the speed of all that follows.
    a, b = (boxes.T.contiguous().T for boxes in (a, b))
    return elementwise_iou(a[:, None], b[None], pixel)


def elementwise_iou(a: Tensor, b: Tensor, pixel: float = 0.0) -> Tensor:
    """IoU of boxes [..., 4] taken in pairs (shapes broadcast) -> [...]; `pixel` as in `pairwise_iou`."""
    a, b = full_precision(a), full_precision(b)
    inter = _intersection(a, b, pixel)
    union = box_area(a, pixel) + box_area(b, pixel) - inter
    return inter / union.clamp(min=_TINY)


def elementwise_diou(a: Tensor, b: Tensor, eps: float = 1e-6) -> Tensor:
    """DIoU in (-1, 1] of boxes [..., 4] taken in pairs -> [...]: IoU - (distance of centres / enclosing diagonal)^2.

    Differentiable everywhere; `eps` is added to both denominators, in the square of the boxes' unit.
    """
    a, b = full_precision(a), full_precision(b)
    inter = _intersection(a, b)
    union = box_area(a) + box_area(b) - inter
    enclosing = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])  # [..., 2]
    diagonal = enclosing.clamp(min=0).square().sum(-1)
    offset = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2  # [..., 2]
    return inter / (union + eps) - offset.square().sum(-1) / (diagonal + eps)


def _intersection(a: Tensor, b: Tensor, pixel: float = 0.0) -> Tensor:
    ax1, ay1, ax2, ay2 = a.unbind(-1)
    bx1, by1, bx2, by2 = b.unbind(-1)
    width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1) + pixel).clamp(min=0)
    height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1) + pixel).clamp(min=0)
    return width * height
