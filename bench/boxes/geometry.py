"""What every box function shares: working precision, areas, clipping."""

import torch
from torch import Tensor


def full_precision(values: Tensor) -> Tensor:
    """float32 (float64 stays): at 1000 px a float16 coordinate is half a pixel wide, its square overflows."""
    return values if values.dtype == torch.float64 else values.float()


def box_area(boxes: Tensor, pixel: float = 0.0) -> Tensor:
    """Areas of xyxy boxes [..., 4] in square pixels, [...]; an inverted box has none. `pixel` as in `pairwise_iou`."""
    x1, y1, x2, y2 = full_precision(boxes).unbind(-1)
    return (x2 - x1 + pixel).clamp(min=0) * (y2 - y1 + pixel).clamp(min=0)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """xyxy boxes [..., 4] moved into the image of `size` (H, W): x into [0, W], y into [0, H]; same shape and dtype."""
    height, width = size
    limits = boxes.new_tensor([width, height, width, height])  # [4]
    return boxes.clamp(min=0).minimum(limits)
