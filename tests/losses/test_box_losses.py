"""DIoU and smooth L1 losses against numbers worked out by hand."""

import pytest
import torch

from bench.losses.boxes import DIoULoss, SmoothL1Loss


def test_diou() -> None:
    predicted = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1]])
    target = torch.tensor([[1.0, 0, 3, 2], [0, 0, 2, 2], [2, 0, 3, 1]])
    # 1: intersection 2 of union 6, centers 1 apart, enclosing 3 x 2. 2: equal. 3: apart, centers 2, enclosing 3 x 1
    expected = [2 * (1 - (1 / 3 - 1 / 13)), 0.0, 2 * (1 + 4 / 10)]
    assert DIoULoss()(predicted, target).tolist() == pytest.approx(expected, abs=1e-5)


def test_diou_pulls_boxes_that_do_not_touch_and_rights_inverted_ones() -> None:
    predicted = torch.tensor([[0.0, 0, 1, 1], [3, 3, 1, 1]], requires_grad=True)
    DIoULoss()(predicted, torch.tensor([[4.0, 0, 5, 1], [0, 0, 2, 2]])).sum().backward()
    assert predicted.grad is not None
    assert bool(predicted.grad.isfinite().all())
    assert predicted.grad[0, [0, 2]].sum() < 0  # moving right lowers the loss
    assert predicted.grad[1, 0] > 0  # the left edge, right of the right one, moves left


def test_smooth_l1() -> None:
    loss = SmoothL1Loss(beta=1 / 9, weight=0.1)
    predicted, target = torch.tensor([[0.5, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1 / 18], [1.0, 0.0]])
    # beyond beta: 1/2 - beta / 2 = 4/9; within: (1/18)^2 / (2 beta) = 1/72
    assert loss(predicted, target).tolist() == pytest.approx([0.1 * (4 / 9 + 1 / 72), 0.0])
    mask = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    assert loss(predicted, target, mask).tolist() == pytest.approx([0.1 / 72, 0.0])


def test_no_positives() -> None:
    nothing = torch.zeros(0, 4, requires_grad=True)
    for loss in (DIoULoss(), SmoothL1Loss()):
        assert loss(nothing, torch.zeros(0, 4)).shape == (0,)
