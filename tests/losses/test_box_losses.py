"""DIoU and smooth L1 losses against numbers worked out by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.ops import distance_box_iou_loss

from bench.losses.boxes import DIoULoss, SmoothL1Loss


def test_diou() -> None:
    predicted = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1]])
    target = torch.tensor([[1.0, 0, 3, 2], [0, 0, 2, 2], [2, 0, 3, 1]])
    # 1: intersection 2 of union 6, centers 1 apart, enclosing 3 x 2. 2: equal. 3: apart, centers 2, enclosing 3 x 1
    expected = [2 * (1 - (1 / 3 - 1 / 13)), 0.0, 2 * (1 + 4 / 10)]
    assert DIoULoss()(predicted, target).tolist() == pytest.approx(expected, abs=1e-5)


def gradient(loss: Callable[[Tensor], Tensor], boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of every box [N] and its gradient [N, 4]."""
    leaf = boxes.clone().requires_grad_()
    values = loss(leaf)
    values.sum().backward()
    assert leaf.grad is not None
    return values.detach(), leaf.grad


@pytest.mark.parametrize("inverted", [(), (0,), (0, 1)], ids=["upright", "inverted in x", "inverted in x and y"])
def test_diou_is_torchvisions(inverted: tuple[int, ...]) -> None:
    """In gradients too, and for boxes whose right edge lies left of the left one."""
    generator = torch.Generator().manual_seed(0)
    predicted, target = torch.rand(2, 500, 4, dtype=torch.float64, generator=generator)
    for boxes in (predicted, target):
        boxes[:, 2:] = boxes[:, :2] + 0.01 + boxes[:, 2:]
    for axis in inverted:
        predicted[:, [axis, axis + 2]] = predicted[:, [axis + 2, axis]]
    own = gradient(lambda boxes: DIoULoss(weight=1.0)(boxes, target), predicted)
    oracle = gradient(lambda boxes: distance_box_iou_loss(boxes, target, eps=1e-6), predicted)
    for one, other in zip(own, oracle, strict=True):
        torch.testing.assert_close(one, other)


def test_diou_pulls_boxes_that_do_not_touch() -> None:
    _, slope = gradient(lambda boxes: DIoULoss()(boxes, torch.tensor([[4.0, 0, 5, 1]])), torch.tensor([[0.0, 0, 1, 1]]))
    assert slope[0, [0, 2]].sum() < 0  # moving right lowers the loss


def test_diou_moves_inverted_boxes_but_does_not_turn_them() -> None:
    """The formula's own trap, which a distance without activation can step into: no overlap, so no slope of the size.

    Target 2 x 2 around (1, 1), enclosing diagonal 8 for both boxes. The first is centered on (2, 2): loss
    2 (1 + 2 / 8), slope 2 (2 * 1 / 2) / 8 alike in every coordinate. The second is centered on (1, 1).
    """
    values, slope = gradient(
        lambda boxes: DIoULoss()(boxes, torch.tensor([[0.0, 0, 2, 2]])), torch.tensor([[3.0, 3, 1, 1], [2, 2, 0, 0]])
    )
    assert values.tolist() == pytest.approx([2.5, 2.0])
    assert slope[0].tolist() == pytest.approx([0.25] * 4)
    assert slope[1].tolist() == [0.0] * 4


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
