"""Focal loss and the loss of the IoU branch, by hand and against torchvision."""

import math

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from bench.losses.focal import FocalLoss
from bench.losses.iou_branch import IoUBranchLoss


def test_focal_by_hand() -> None:
    logits = torch.tensor([0.0, math.log(3), math.log(3)]).view(1, 3, 1)
    targets = torch.tensor([1.0, 1.0, 0.0]).view(1, 3, 1)
    valid = torch.ones(1, 3, dtype=torch.bool)
    # p = 1/2 and 3/4 of a face, then 3/4 of background
    each = [0.25 * 0.5**2 * math.log(2), 0.25 * 0.25**2 * math.log(4 / 3), 0.75 * 0.75**2 * math.log(4)]
    assert float(FocalLoss()(logits, targets, valid)) == pytest.approx(sum(each))
    assert float(FocalLoss(weight=2.0)(logits, targets, valid)) == pytest.approx(2 * sum(each))
    valid[0, 1] = False
    assert float(FocalLoss()(logits, targets, valid)) == pytest.approx(each[0] + each[2])
    assert float(FocalLoss(gamma=0.0, alpha=0.5)(logits, targets, valid)) == pytest.approx(
        math.log(2) / 2 + math.log(4) / 2
    )


def test_focal_against_torchvision() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 50, 3, generator=generator) * 4
    targets = (torch.rand(2, 50, 3, generator=generator) > 0.9).float()
    wanted = sigmoid_focal_loss(logits, targets, alpha=0.3, gamma=1.5, reduction="sum")
    found = FocalLoss(gamma=1.5, alpha=0.3)(logits, targets, torch.ones(2, 50, dtype=torch.bool))
    torch.testing.assert_close(found, wanted)


def test_gradients_stay_finite_far_out() -> None:
    logits = torch.tensor([-80.0, 80.0, 0.0]).view(1, 3, 1).requires_grad_()
    targets = torch.tensor([0.0, 1.0, 1.0]).view(1, 3, 1)
    FocalLoss()(logits, targets, torch.ones(1, 3, dtype=torch.bool)).backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_iou_branch() -> None:
    found = IoUBranchLoss(weight=2.0)(torch.tensor([0.0, math.log(3)]), torch.tensor([0.3, 0.75]))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert found.tolist() == pytest.approx([2 * math.log(2), 2 * entropy])
