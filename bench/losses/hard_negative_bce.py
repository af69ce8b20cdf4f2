"""Binary cross-entropy with hard negative mining: of the negatives only the worst few per positive count.

Paper: SSD (arXiv 1512.02325), section 2.2, with independent sigmoids in place of its softmax over classes and
background. BlazeFace's paper leaves its classification loss unstated; most open trainings of it mine 3:1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class HardNegativeBCE:
    """
    Args:
        ratio: negatives kept for each positive of the same image.
        minimum: fewest negatives kept of an image, so that images without positives teach too (SSD's rule keeps none).
        weight: factor on the loss.
    """

    ratio: float = 3.0
    minimum: int = 10
    weight: float = 1.0
    quality_targets: bool = False

    def __call__(self, logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """logits, targets [B, N, C], valid [B, N] bool -> the sum over positives and mined negatives, weighted."""
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(-1)  # [B, N]
        positive = (targets > 0).any(-1) & valid
        negative = valid & ~positive
        wanted = (positive.sum(1) * self.ratio).clamp(min=self.minimum)  # [B]
        hardness = torch.where(negative, loss.detach(), -torch.inf)
        order = hardness.argsort(dim=1, descending=True, stable=True)  # of equal losses the lower anchor index counts
        places = torch.arange(loss.shape[1], device=loss.device).expand_as(order)
        rank = torch.empty_like(order).scatter_(1, order, places)
        kept = positive | (negative & (rank < wanted[:, None]))
        return self.weight * loss.where(kept, 0.0).sum()
