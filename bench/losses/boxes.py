"""Box regression losses, per positive anchor: on decoded boxes (DIoU) or on encoded deltas (smooth L1).

Papers: Distance-IoU Loss (arXiv 1911.08287), eq. 7; Fast R-CNN (arXiv 1504.08083), eq. 3, which turns from a parabola
into a line at `beta`.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from bench.boxes.iou import elementwise_diou


@dataclass(frozen=True)
class DIoULoss:
    """1 - DIoU of decoded boxes, which come in units of their anchor's stride.

    By the formula an inverted box overlaps nothing, so its center is pulled to the target's and its size is not: it is
    turned only along with boxes that share its parameters.
    """

    weight: float = 2.0
    eps: float = 1e-6
    decoded: bool = True

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        """predicted, target [P, 4] xyxy -> [P]."""
        return self.weight * (1 - elementwise_diou(predicted, target, eps=self.eps))


@dataclass(frozen=True)
class SmoothL1Loss:
    """Smooth L1, summed over the values of an anchor: encoded boxes, or keypoints."""

    beta: float = 1 / 9
    weight: float = 1.0
    decoded: bool = False

    def __call__(self, predicted: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """predicted, target [P, V], mask [P, V] or None -> [P]."""
        loss = F.smooth_l1_loss(predicted, target, beta=self.beta, reduction="none")
        return self.weight * (loss if mask is None else loss * mask).sum(-1)
