"""Sums over any rectangle of any image of a batch from four numbers: integral images, packed one after the other.

    total[y, x] = sum of image[:y, :x]          the sum of rows a..b and columns c..d is
    total[b, d] - total[a, d] - total[b, c] + total[a, c]

Sums are int32 and may run over in a large image; a difference is right all the same as long as it fits itself (a
rectangle of eight million white pixels does). Outside the image a total does not grow: that is zero padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class IntegralImages:
    """B images of any sizes."""

    totals: Tensor  # int32 [sum of (H + 1) (W + 1), 3]
    starts: Tensor  # int64 [B]: the row of `totals` at which an image begins
    sizes: Tensor  # int64 [B, 2] height and width

    @classmethod
    def of(cls, images: Sequence[Tensor], sizes: Tensor) -> "IntegralImages":
        """images: uint8 [3, H, W] each, on the device on which everything happens; sizes [B, 2] of them."""
        parts = [summed(image) for image in images]
        counts = [0, *(len(part.view(-1, 3)) for part in parts)]
        starts = torch.tensor(counts[:-1], device=sizes.device).cumsum(0)
        totals = parts[0].view(-1, 3) if len(parts) == 1 else torch.cat([part.view(-1, 3) for part in parts])
        return cls(totals, starts, sizes)

    def image(self, index: int, height: int, width: int) -> Tensor:
        """The totals [H + 1, W + 1, 3] of one image of the size given."""
        start = int(self.starts[index]) if len(self.starts) > 1 else 0
        return self.totals[start : start + (height + 1) * (width + 1)].view(height + 1, width + 1, 3)

    def at(self, image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Totals of N windows at rows [N, Y] and columns [N, X] of the images [N] -> int32 [N, Y, X, 3].

        Places outside an image are moved to its border.
        """
        size = self.sizes[image]  # [N, 2]
        rows = rows.clamp(min=0).minimum(size[:, :1])
        columns = columns.clamp(min=0).minimum(size[:, 1:])
        places = (self.starts[image, None] + rows * (size[:, 1:] + 1))[:, :, None] + columns[:, None]  # [N, Y, X]
        return self.totals.index_select(0, places.flatten()).view(*places.shape, 3)


def summed(image: Tensor) -> Tensor:
    """uint8 [3, H, W] -> int32 [H + 1, W + 1, 3] on its device; OpenCV is the fastest on a CPU."""
    if image.device.type == "cpu":
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        return torch.from_numpy(cv2.integral(pixels, sdepth=cv2.CV_32S))
    totals = image.new_zeros((image.shape[1] + 1, image.shape[2] + 1, 3), dtype=torch.int32)
    totals[1:, 1:] = image.permute(1, 2, 0).cumsum(0, dtype=torch.int32).cumsum(1, dtype=torch.int32)
    return totals
