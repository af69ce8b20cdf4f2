"""IoU threshold assignment by hand and against plain loops."""

import pytest
import torch

from bench.boxes import AnchorGenerator, Anchors, MaxIoUAssigner, pairwise_iou
from bench.errors import ConfigError


def row_of_anchors() -> Anchors:
    """Four anchors of side 16 with centers 0, 8, 16, 24 on the line y = 0."""
    return AnchorGenerator((8,), ((16,),))((8, 32))


def box_at(x: float) -> list[float]:
    """Side 16: IoU with an anchor at distance d is (16 - d) / (16 + d), so 1, 7/9, 3/5, 1/3 at 0, 2, 4, 8."""
    return [x - 8, -8.0, x + 8, 8.0]


def reference(anchors: Anchors, boxes: torch.Tensor, assigner: MaxIoUAssigner) -> tuple[list[int], list[float]]:
    iou = pairwise_iou(anchors.boxes, boxes).tolist()
    gt_index, value = [], []
    for row in iou:
        best = max(row, default=0.0)
        gt_index.append(row.index(best) if best >= assigner.positive else -1 if best < assigner.negative else -2)
        value.append(best if best >= assigner.positive else 0.0)
    claimed: set[int] = set()
    for g in range(len(boxes)):
        column = [row[g] for row in iou]
        best = max(column)
        if best <= 0 or best < assigner.min_positive or assigner.match_low_quality == "none":
            continue
        if assigner.match_low_quality == "best_anchor":
            claims = {column.index(best)} - claimed
            claimed |= claims
        else:
            claims = {anchor for anchor, overlap in enumerate(column) if overlap == best}
        for anchor in claims:
            gt_index[anchor], value[anchor] = g, best
    return gt_index, value


@pytest.mark.parametrize("low_quality", ["none", "best_anchor", "ties"])
@pytest.mark.parametrize("min_positive", [0.0, 0.3])
@pytest.mark.parametrize("count", [0, 7, 40])
def test_equals_plain_loops(low_quality: str, min_positive: float, count: int) -> None:
    anchors = AnchorGenerator((8, 16), ((16, 24), (32, 64)))((96, 96))
    generator = torch.Generator().manual_seed(count)
    corner = (torch.rand(count, 2, generator=generator) * 24).round() * 4 - 8  # on a grid: many ties
    boxes = torch.cat([corner, corner + (torch.rand(count, 1, generator=generator) * 6).round() * 8], dim=1)
    assigner = MaxIoUAssigner(0.5, 0.4, low_quality, min_positive)  # type: ignore[arg-type]
    gt_index, iou = reference(anchors, boxes, assigner)
    result = assigner(anchors, boxes)
    assert result.gt_index.tolist() == gt_index
    torch.testing.assert_close(result.iou, torch.tensor(iou))
    if count:
        assert {-2, -1} < set(gt_index)


def test_thresholds_by_hand() -> None:
    # Box at 2: IoU 7/9, 10/22 = 0.4545, 2/30, 0. Ignored means: not positive, not below `negative`.
    boxes = torch.tensor([box_at(2)])
    result = MaxIoUAssigner(positive=0.5, negative=0.4)(row_of_anchors(), boxes)
    assert result.gt_index.tolist() == [0, -2, -1, -1]
    assert result.ignored.tolist() == [False, True, False, False]
    torch.testing.assert_close(result.iou, torch.tensor([7 / 9, 0.0, 0.0, 0.0]))
    # IoU equal to a threshold: 1/3 at distance 8 is positive at 1/3, and not negative at negative = 1/3.
    third = pairwise_iou(row_of_anchors().boxes[:1], torch.tensor([box_at(8)])).item()
    boxes = torch.tensor([box_at(0)])
    assert MaxIoUAssigner(third, third)(row_of_anchors(), boxes).gt_index.tolist() == [0, 0, -1, -1]
    assert MaxIoUAssigner(0.9, third)(row_of_anchors(), boxes).gt_index.tolist() == [0, -2, -1, -1]


def test_best_anchor_by_hand() -> None:
    # Box 0 sits between anchors 0 and 1 (IoU 0.6 each, below 0.7): it claims the first. Box 1 lies on anchor 3.
    # Box 2, at 28, has 0.6 with anchor 3 as its best, but box 1 has the lower index and claims it too.
    boxes = torch.tensor([box_at(4), box_at(24), box_at(28)])
    result = MaxIoUAssigner(0.7, 0.7, "best_anchor")(row_of_anchors(), boxes)
    assert result.gt_index.tolist() == [0, -1, -1, 1]
    torch.testing.assert_close(result.iou, torch.tensor([0.6, 0.0, 0.0, 1.0]))
    # In the other order the poorer box gets the anchor: claims go by index, not by IoU.
    result = MaxIoUAssigner(0.7, 0.7, "best_anchor")(row_of_anchors(), boxes.flip(0))
    assert result.gt_index.tolist() == [2, -1, -1, 0]
    torch.testing.assert_close(result.iou, torch.tensor([0.6, 0.0, 0.0, 0.6]))


def test_ties_by_hand() -> None:
    # Box at 4 ties anchors 0 and 1 at 0.6: both are its own, unless that is below min_positive.
    boxes = torch.tensor([box_at(4)])
    assert MaxIoUAssigner(0.7, 0.7, "ties")(row_of_anchors(), boxes).gt_index.tolist() == [0, 0, -1, -1]
    assert MaxIoUAssigner(0.7, 0.7, "ties", 0.65)(row_of_anchors(), boxes).gt_index.tolist() == [-1] * 4
    # mmdetection's quirk: box 1 at 28 takes anchor 3 from box 0, which fits it perfectly, for coming later.
    boxes = torch.tensor([box_at(24), box_at(28)])
    result = MaxIoUAssigner(0.35, 0.35, "ties", 0.35)(row_of_anchors(), boxes)
    assert result.gt_index.tolist() == [-1, -1, -1, 1]
    torch.testing.assert_close(result.iou, torch.tensor([0.0, 0.0, 0.0, 0.6]))


def test_of_equal_boxes_the_first_gets_the_anchor() -> None:
    boxes = torch.tensor([box_at(100)] * 3 + [box_at(8)] * 40)  # more than are looked at together
    assert MaxIoUAssigner()(row_of_anchors(), boxes).gt_index.tolist() == [-1, 3, -1, -1]


@pytest.mark.parametrize("low_quality", ["none", "best_anchor", "ties"])
def test_boxes_that_overlap_nothing_claim_nothing(low_quality: str) -> None:
    boxes = torch.tensor([box_at(500), [5.0, 0.0, 5.0, 0.0]])
    result = MaxIoUAssigner(match_low_quality=low_quality)(row_of_anchors(), boxes)  # type: ignore[arg-type]
    assert result.gt_index.tolist() == [-1] * 4


def test_half_precision_boxes() -> None:
    boxes = torch.tensor([box_at(2), box_at(20)])
    result = MaxIoUAssigner()(row_of_anchors(), boxes.half())
    assert torch.equal(result.gt_index, MaxIoUAssigner()(row_of_anchors(), boxes).gt_index)
    assert result.iou.dtype == torch.float32


def test_bad_options() -> None:
    with pytest.raises(ConfigError, match="negative <= positive"):
        MaxIoUAssigner(positive=0.3, negative=0.4)
    with pytest.raises(ConfigError, match="best_anchor or ties"):
        MaxIoUAssigner(match_low_quality="always")  # type: ignore[arg-type]
