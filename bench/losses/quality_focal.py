"""Quality focal loss: the classification target of a positive is the IoU of its box.

Paper: Generalized Focal Loss (arXiv 2006.04388), eq. 4: -|y - p|^beta ((1 - y) log(1 - p) + y log p).
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class QualityFocalLoss:
    beta: float = 2.0
    weight: float = 1.0
    quality_targets: bool = True

    def __call__(self, logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
        """logits, targets [B, N, C], valid [B, N] bool -> the sum over valid anchors, weighted."""
        modulation = (targets - logits.sigmoid()).abs() ** self.beta  # [B, N, C]
        loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * modulation
        return self.weight * loss.where(valid[..., None], 0.0).sum()
