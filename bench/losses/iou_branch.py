"""The loss of an IoU branch: cross-entropy with the IoU that the positive's box has (arXiv 1912.05992, eq. 3)."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class IoUBranchLoss:
    weight: float = 1.0

    def __call__(self, logits: Tensor, ious: Tensor) -> Tensor:
        """logits, ious [P] -> [P]."""
        return self.weight * F.binary_cross_entropy_with_logits(logits, ious, reduction="none")
