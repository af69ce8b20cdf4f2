"""Focal loss: Focal Loss for Dense Object Detection (arXiv 1708.02002), eq. 5: -alpha_t (1 - p_t)^gamma log p_t."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class FocalLoss:
    gamma: float = 2.0
    alpha: float = 0.25
    weight: float = 1.0
    quality_targets: bool = False

    def __call__(self, logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """logits, targets [B, N, C] in {0, 1}, valid [B, N] bool -> the sum over valid anchors, weighted."""
        missing = (targets - logits.sigmoid()).abs()  # [B, N, C] 1 - p_t
        balance = self.alpha * targets + (1 - self.alpha) * (1 - targets)
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * balance * missing**self.gamma
        return self.weight * loss.where(valid[..., None], 0.0).sum()
