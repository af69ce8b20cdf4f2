"""Hard negative mining: which anchors count, by their gradients; what they cost, by hand."""

import math

import pytest
import torch
from torch import Tensor

from bench.losses.hard_negative_bce import HardNegativeBCE


def counted(
    loss: HardNegativeBCE, logits: list[list[float]], positives: list[list[int]], valid: Tensor
) -> list[list[int]]:
    """Per image the anchors that the loss looks at: those that get a gradient."""
    x = torch.tensor(logits)[..., None].requires_grad_()  # [B, N, 1]
    targets = torch.zeros_like(x)
    for image, anchors in enumerate(positives):
        targets[image, anchors] = 1.0
    loss(x, targets, valid).backward()
    assert x.grad is not None
    return [row.nonzero().squeeze(1).tolist() for row in x.grad[..., 0]]


def every(images: int, anchors: int) -> Tensor:
    return torch.ones(images, anchors, dtype=torch.bool)


def test_the_hardest_negatives_of_each_image() -> None:
    logits = [[0.0, 1.0, -1.0, 3.0, 2.0, -2.0], [5.0, 0.0, 0.0, 4.0, 3.0, 2.0]]
    # image 0: one positive, two negatives with the highest logits; image 1: two positives and all four others
    found = counted(HardNegativeBCE(ratio=2.0, minimum=0), logits, [[0], [1, 2]], every(2, 6))
    assert found == [[0, 3, 4], [0, 1, 2, 3, 4, 5]]


def test_value() -> None:
    logits = torch.tensor([[[math.log(3)], [math.log(3)], [0.0], [-1.0]]])
    targets = torch.tensor([[[1.0], [0.0], [0.0], [0.0]]])
    # p = 3/4, 3/4, 1/2: -ln 3/4 for the positive, -ln 1/4 and -ln 1/2 for the two mined negatives
    expected = 0.5 * (math.log(4 / 3) + math.log(4) + math.log(2))
    found = HardNegativeBCE(ratio=2.0, minimum=0, weight=0.5)(logits, targets, every(1, 4))
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_ties_go_to_the_lower_index() -> None:
    found = counted(HardNegativeBCE(ratio=3.0, minimum=0), [[0.0] * 300], [[7]], every(1, 300))
    assert found == [[0, 1, 2, 7]]


def test_no_positives() -> None:
    logits = [[0.0, 1.0, 2.0, 3.0]]
    assert counted(HardNegativeBCE(minimum=2), logits, [[]], every(1, 4)) == [[2, 3]]
    assert counted(HardNegativeBCE(minimum=0), logits, [[]], every(1, 4)) == [[]]
    assert counted(HardNegativeBCE(minimum=10), logits, [[]], every(1, 4)) == [[0, 1, 2, 3]]


def test_minimum_holds_beside_few_positives() -> None:
    logits = [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]
    assert counted(HardNegativeBCE(ratio=1.0, minimum=3), logits, [[0]], every(1, 6)) == [[0, 3, 4, 5]]


def test_ignored_anchors_take_no_place() -> None:
    valid = torch.tensor([[True, True, True, False, True]])
    found = counted(HardNegativeBCE(ratio=1.0, minimum=0), [[0.0, 1.0, 2.0, 9.0, 1.5]], [[0]], valid)
    assert found == [[0, 2]]


def test_classes_of_an_anchor_count_together() -> None:
    # two classes: anchor 0 is positive for the second; anchor 2 is harder than anchor 1 by its sum over classes
    logits = torch.tensor([[[0.0, 0.0], [2.0, -9.0], [1.5, 1.5]]], requires_grad=True)
    targets = torch.zeros(1, 3, 2)
    targets[0, 0, 1] = 1.0
    HardNegativeBCE(ratio=1.0, minimum=0)(logits, targets, every(1, 3)).backward()
    assert logits.grad is not None
    assert logits.grad[0].ne(0).tolist() == [[True, True], [False, False], [True, True]]
