"""Class score and expected IoU in one score, by which detections are ranked and suppressed.

Papers: IoU-aware Single-stage Object Detector (arXiv 1912.05992), eq. 5: p^alpha IoU^(1 - alpha). TinaFace's code
doubles both exponents: the same order of detections, lower scores at a given threshold.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ScoreFusion:
    """score = p^cls_exponent * iou^iou_exponent; the defaults are TinaFace's, alpha = 0.4."""

    cls_exponent: float = 0.8
    iou_exponent: float = 1.2

    def __call__(self, scores: Tensor, ious: Tensor) -> Tensor:
        """Class probabilities [B, N, C] and expected IoUs [B, N] in 0..1 -> scores [B, N, C]."""
        return scores**self.cls_exponent * ious[..., None] ** self.iou_exponent
