"""The top-down pass of a feature pyramid (arXiv 1612.03144, section 3)."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor
from torch.nn import functional as F


def top_down(levels: Sequence[Tensor], mode: Literal["nearest", "bilinear"]) -> list[Tensor]:
    """Maps [B, C, H_i, W_i], finest first: from the coarsest on, each is enlarged and added to the next finer one."""
    passed = list(levels)
    for i in range(len(passed) - 1, 0, -1):
        passed[i - 1] = passed[i - 1] + F.interpolate(passed[i], size=passed[i - 1].shape[-2:], mode=mode)
    return passed
