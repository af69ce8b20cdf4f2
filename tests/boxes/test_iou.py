"""IoU and its kin against hand-computed values and torchvision."""

import pytest
import torch
from torchvision.ops import box_iou, distance_box_iou

from bench.boxes import box_area, clip_boxes, elementwise_diou, elementwise_iou, pairwise_iou

A = torch.tensor([[0.0, 0.0, 4.0, 4.0], [2.0, 2.0, 6.0, 4.0]])
B = torch.tensor([[2.0, 0.0, 6.0, 4.0], [0.0, 0.0, 4.0, 4.0], [10.0, 10.0, 12.0, 12.0]])


def random_boxes(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner, size = torch.rand(2, count, 2, generator=generator) * 50
    return torch.cat([corner, corner + size], dim=1)


def test_pairwise_iou_by_hand() -> None:
    # a0 = 16, a1 = 8, b0 = 16, b1 = 16, b2 far away.
    # a0 b0: 2*4 = 8 / (16 + 16 - 8) = 1/3;  a0 b1: 1;  a1 b0: 4*2 = 8 / (8 + 16 - 8) = 1/2;
    # a1 b1: 2*2 = 4 / (8 + 16 - 4) = 1/5.
    expected = torch.tensor([[1 / 3, 1.0, 0.0], [1 / 2, 1 / 5, 0.0]])
    torch.testing.assert_close(pairwise_iou(A, B), expected)


def test_pixel_convention_by_hand() -> None:
    # Counting pixels a0 is 5x5 = 25, b0 is 5x5 = 25, their overlap x 2..4, y 0..4 is 3x5 = 15: 15 / 35.
    assert pairwise_iou(A[:1], B[:1], pixel=1.0).item() == pytest.approx(15 / 35)
    # Boxes that only touch share their border pixels: overlap 1x5 of 25 + 25 - 5 = 45; without the +1 nothing.
    touching = torch.tensor([[4.0, 0.0, 8.0, 4.0]])
    assert pairwise_iou(A[:1], touching, pixel=1.0).item() == pytest.approx(5 / 45)
    assert pairwise_iou(A[:1], touching).item() == 0
    assert box_area(A, pixel=1.0).tolist() == [25.0, 15.0]


def test_pairwise_iou_is_torchvision_s() -> None:
    a, b = random_boxes(40), random_boxes(30, seed=1)
    torch.testing.assert_close(pairwise_iou(a, b), box_iou(a, b))


def test_elementwise_is_the_diagonal() -> None:
    a, b = random_boxes(40), random_boxes(40, seed=1)
    torch.testing.assert_close(elementwise_iou(a, b), pairwise_iou(a, b).diagonal())
    torch.testing.assert_close(elementwise_iou(a.view(8, 5, 4), b.view(8, 5, 4)).flatten(), elementwise_iou(a, b))


def test_boxes_without_area_have_no_iou() -> None:
    point, inverted = torch.tensor([[3.0, 3.0, 3.0, 3.0]]), torch.tensor([[4.0, 4.0, 2.0, 2.0]])
    for box in (point, inverted):
        assert pairwise_iou(box, torch.cat([box, A])).tolist() == [[0.0, 0.0, 0.0]]
        assert box_area(box).item() == 0


def test_empty() -> None:
    assert pairwise_iou(torch.empty(0, 4), A).shape == (0, 2)
    assert pairwise_iou(A, torch.empty(0, 4)).shape == (2, 0)
    assert elementwise_diou(torch.empty(0, 4), torch.empty(0, 4)).shape == (0,)


def test_half_precision_computes_in_float32() -> None:
    # 1000 x 1000 = 10^6 overflows float16, whose largest number is 65504.
    a, b = torch.tensor([[0.0, 0.0, 1000.0, 1000.0]]).half(), torch.tensor([[0.0, 0.0, 1000.0, 500.0]]).half()
    for iou in (pairwise_iou(a, b), elementwise_iou(a, b)):
        assert iou.dtype == torch.float32
        assert iou.item() == pytest.approx(0.5)
    assert pairwise_iou(a.double(), b.double()).dtype == torch.float64


def test_diou_by_hand() -> None:
    # a0, b0: IoU 1/3; centers (2, 2), (4, 2): 4; enclosing box 6 x 4: diagonal^2 36 + 16 = 52.
    # a0, b2: IoU 0; centers (2, 2), (11, 11): 162; enclosing 12 x 12: 288.
    a, b = A[[0, 0]], B[[0, 2]]
    torch.testing.assert_close(elementwise_diou(a, b), torch.tensor([1 / 3 - 4 / 52, -162 / 288]))
    # eps = 1 enters both denominators: 8 / 25 - 4 / 53.
    assert elementwise_diou(A[:1], B[:1], eps=1.0).item() == pytest.approx(8 / 25 - 4 / 53)


def test_diou_is_torchvision_s() -> None:
    a = random_boxes(40)
    torch.testing.assert_close(elementwise_diou(a, a.flip(0)), distance_box_iou(a, a.flip(0)).diagonal())


def test_diou_gradient() -> None:
    a = random_boxes(6).double().requires_grad_()
    target = a.detach().flip(0) + 0.5
    assert torch.autograd.gradcheck(lambda boxes: elementwise_diou(boxes, target), a)
    # Far from its target, inverted or without area, a box still has a finite slope, and one that points somewhere.
    bad = torch.tensor([[60.0, 60.0, 70.0, 70.0], [9.0, 9.0, 3.0, 3.0], [5.0, 5.0, 5.0, 5.0]], requires_grad=True)
    elementwise_diou(bad, A[:1]).sum().backward()
    assert bad.grad is not None
    assert bad.grad.isfinite().all()
    assert (bad.grad.abs().sum(1) > 0).all()


def test_clip_boxes() -> None:
    boxes = torch.tensor([[-3.0, -1.0, 30.0, 5.0], [1.0, 2.0, 3.0, 40.0]])  # image: 10 high, 20 wide
    assert clip_boxes(boxes, (10, 20)).tolist() == [[0.0, 0.0, 20.0, 5.0], [1.0, 2.0, 3.0, 10.0]]
    assert clip_boxes(boxes.view(2, 1, 4), (10, 20)).shape == (2, 1, 4)
