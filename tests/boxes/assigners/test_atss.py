"""ATSS by hand and against plain loops."""

import math
import statistics

import pytest
import torch

from bench.boxes import AnchorGenerator, Anchors, ATSSAssigner, pairwise_iou

SCRFD = AnchorGenerator((8, 16, 32), ((16, 32), (64, 128), (256, 512)))


def reference(anchors: Anchors, boxes: torch.Tensor, topk: int) -> tuple[list[int], list[float]]:
    """The algorithm as SCRFD states it, box by box and anchor by anchor, in Python's own float64."""
    gt_index, best = [-1] * len(anchors), [0.0] * len(anchors)
    iou = pairwise_iou(anchors.boxes, boxes)
    for g, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        candidates: list[int] = []
        first = 0
        for size in anchors.level_sizes:

            def distance(anchor: int, x: float = (x1 + x2) / 2, y: float = (y1 + y2) / 2) -> float:
                return math.dist(anchors.centers[anchor].tolist(), (x, y))

            candidates += sorted(range(first, first + size), key=distance)[:topk]  # sorted() is stable
            first += size
        values = [iou[anchor, g].item() for anchor in candidates]
        threshold = statistics.mean(values) + (statistics.stdev(values) if len(values) > 1 else 0.0)
        side = math.sqrt(max((x2 - x1) * (y2 - y1), 1e-4))
        for anchor, value in zip(candidates, values, strict=True):
            x, y = anchors.centers[anchor].tolist()
            inside = min(x - x1, y - y1, x2 - x, y2 - y) / side > 0.001
            if inside and value >= threshold and value > best[anchor]:
                gt_index[anchor], best[anchor] = g, value
    return gt_index, best


def faces(count: int, size: int, seed: int, step: float = 0.0) -> torch.Tensor:
    """Boxes of many scales, some over the edge of the image; on a grid of `step` px, hence full of ties, if given."""
    generator = torch.Generator().manual_seed(seed)
    center = torch.rand(count, 2, generator=generator) * size
    side = 2 ** (torch.rand(count, 1, generator=generator) * 6 + 2) * torch.tensor([1.0, 1.25])
    boxes = torch.cat([center - side / 2, center + side / 2], dim=1)
    return (boxes / step).round() * step if step else boxes


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [0.0, 4.0])
@pytest.mark.parametrize("topk", [4, 9])
def test_equals_plain_loops(seed: int, step: float, topk: int) -> None:
    anchors, boxes = SCRFD((120, 88)), faces(12, 110, seed, step)
    gt_index, iou = reference(anchors, boxes, topk)
    result = ATSSAssigner(topk)(anchors, boxes)
    assert result.gt_index.tolist() == gt_index
    torch.testing.assert_close(result.iou, torch.tensor(iou))
    assert result.positive.any()


@pytest.mark.parametrize("per_cell", [1, 3])
def test_other_lattices_and_far_away_boxes(per_cell: int) -> None:
    generator = AnchorGenerator((8, 16, 64), [[s * 1.5**k for k in range(per_cell)] for s in (12, 30, 60)], (1.3,), 0.5)
    anchors, boxes = generator((72, 200)), faces(20, 300, 5)  # up to 300 px: beyond the image
    gt_index, _ = reference(anchors, boxes, 9)
    assert ATSSAssigner()(anchors, boxes).gt_index.tolist() == gt_index


def test_one_level_by_hand() -> None:
    # One level, stride 8, side 16, centers 0, 8, 16, 24 (y = 0); the box is x 4..20, y -8..8, its center 12.
    # The 3 nearest: 8 and 16 (distance 4), then 0 before 24 (both 12: lower index). IoU at shift 4 is 12 / 20 = 0.6,
    # at shift 12 it is 4 / 28 = 1/7. Mean = (0.6 + 0.6 + 1/7) / 3 = 0.4476, unbiased std = 0.2639: threshold 0.7116.
    anchors = AnchorGenerator((8,), ((16,),))((8, 32))
    box = torch.tensor([[4.0, -8.0, 20.0, 8.0]])
    assert ATSSAssigner(topk=3)(anchors, box).gt_index.tolist() == [-1, -1, -1, -1]
    # With the biased deviation the threshold would be 0.663, no positive either; with topk = 2 both are 0.6 and the
    # deviation is 0: the threshold is met exactly, and >= takes them.
    result = ATSSAssigner(topk=2)(anchors, box)
    assert result.gt_index.tolist() == [-1, 0, 0, -1]
    torch.testing.assert_close(result.iou, torch.tensor([0.0, 0.6, 0.6, 0.0]))


def test_deviation_is_unbiased() -> None:
    # Side 16 at 0 and 8, box x -7.5..8.5: shift 0.5 gives 15.5 / 16.5 = 0.9394, shift 7.5 gives 8.5 / 23.5 = 0.3617.
    # For two values the unbiased deviation is |a - b| / sqrt 2 = 0.4085 > |a - b| / 2: threshold 1.059 leaves nothing;
    # the biased one would be mean + half the difference = the larger value, and would let it pass.
    anchors = AnchorGenerator((8,), ((16,),))((8, 16))
    box = torch.tensor([[-7.5, -8.0, 8.5, 8.0]])
    assert ATSSAssigner(topk=2)(anchors, box).gt_index.tolist() == [-1, -1]


def test_margin_is_relative_to_the_side_of_the_box() -> None:
    # Single candidates (threshold = own IoU). Box of side 10, left edge 0.02 px left of the center at 0: 0.002 > 0.001.
    # Side 40 with the same 0.02 px: 0.0005, outside. Vanilla ATSS (> 0.01 px) would take both.
    anchors = AnchorGenerator((8,), ((16,),))((8, 8))
    for side, expected in ((10.0, 0), (40.0, -1)):
        box = torch.tensor([[-0.02, -side / 2, -0.02 + side, side / 2]])
        assert ATSSAssigner(topk=1)(anchors, box).gt_index.tolist() == [expected]


def test_anchor_claimed_twice_goes_to_the_higher_iou() -> None:
    # One anchor -8..8. Boxes -8..10 (IoU 256 / (18 * 16)) and -8..8 (IoU 1): the second wins in either order.
    anchors = AnchorGenerator((8,), ((16,),))((8, 8))
    boxes = torch.tensor([[-8.0, -8.0, 10.0, 8.0], [-8.0, -8.0, 8.0, 8.0]])
    assert ATSSAssigner(topk=1)(anchors, boxes).gt_index.tolist() == [1]
    assert ATSSAssigner(topk=1)(anchors, boxes.flip(0)).gt_index.tolist() == [0]
    assert ATSSAssigner(topk=1)(anchors, boxes[[1, 1]]).gt_index.tolist() == [0]  # equal: lower index


def test_order_of_boxes_does_not_matter() -> None:
    anchors, boxes = SCRFD((320, 320)), faces(40, 320, 3)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    straight, shuffled = ATSSAssigner()(anchors, boxes), ATSSAssigner()(anchors, boxes[order])
    assert torch.equal(straight.iou, shuffled.iou)
    assert torch.equal(straight.positive, shuffled.positive)
    owner = order[shuffled.gt_index[shuffled.positive]]
    assert torch.equal(straight.gt_index[straight.positive], owner)


@pytest.mark.filterwarnings("error")
def test_no_boxes_and_boxes_without_area() -> None:
    anchors = SCRFD((64, 64))
    for boxes in (torch.empty(0, 4), torch.tensor([[16.0, 16.0, 16.0, 16.0], [20.0, 20.0, 10.0, 10.0]])):
        result = ATSSAssigner()(anchors, boxes)
        assert result.gt_index.dtype == torch.int64
        assert (result.gt_index == -1).all()
        assert (result.iou == 0).all()
        assert result.iou.shape == (len(anchors),)


def test_half_precision_boxes() -> None:
    anchors, boxes = SCRFD((640, 640)), faces(20, 640, 1, step=4.0)  # multiples of 4: exact in float16
    assert torch.equal(ATSSAssigner()(anchors, boxes.half()).gt_index, ATSSAssigner()(anchors, boxes).gt_index)


def test_tiny_faces_get_an_anchor_as_often_as_they_hold_a_lattice_point() -> None:
    # Side 4 px on a lattice of 8 px: (4 / 8)^2 = 1/4 of all positions contain a center.
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(400, 2, generator=generator) * 600
    anchors = SCRFD((640, 640))
    hits = sum(bool(ATSSAssigner()(anchors, torch.cat([c, c + 4])[None]).positive.any()) for c in corner)
    assert hits / 400 == pytest.approx(0.25, abs=0.06)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cuda_equals_cpu() -> None:
    boxes = faces(60, 640, 2)
    result = ATSSAssigner()(SCRFD((640, 640), "cuda"), boxes.cuda())
    assert torch.equal(result.gt_index.cpu(), ATSSAssigner()(SCRFD((640, 640)), boxes).gt_index)
