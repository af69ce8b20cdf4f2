"""A batch at once equals image by image, in matches, losses and gradients, and never waits longer for more images."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.boxes import (
    AnchorGenerator,
    Anchors,
    ATSSAssigner,
    BatchBoxes,
    DeltaCoder,
    DistanceCoder,
    MaxIoUAssigner,
    assign_batch,
    assign_image_by_image,
)
from bench.boxes.assigners import max_iou as max_iou_module
from bench.losses.boxes import DIoULoss, SmoothL1Loss
from bench.losses.criterion import DenseCriterion, FlatOutputs
from bench.losses.focal import FocalLoss
from bench.losses.hard_negative_bce import HardNegativeBCE
from bench.losses.iou_branch import IoUBranchLoss
from bench.losses.quality_focal import QualityFocalLoss
from bench.losses.targets import join_targets

SIDE, CLASSES = 128, 2
LATTICE = AnchorGenerator((8, 16, 32), ((16, 32), (64, 90), (128, 180)))
Plain = Callable[..., Any]

ASSIGNERS = {
    "atss": ATSSAssigner(),
    "atss, one candidate": ATSSAssigner(topk=1),
    "max_iou": MaxIoUAssigner(0.5, 0.4),
    "max_iou, best_anchor": MaxIoUAssigner(0.35, 0.35, "best_anchor"),
    "max_iou, ties": MaxIoUAssigner(0.5, 0.35, "ties", 0.35),
}
CRITERIA = {
    "scrfd": DenseCriterion(ATSSAssigner(), DistanceCoder(), QualityFocalLoss(), DIoULoss(), SmoothL1Loss(weight=0.1)),
    "blazeface": DenseCriterion(
        ASSIGNERS["max_iou, best_anchor"],
        DeltaCoder(),
        HardNegativeBCE(),
        SmoothL1Loss(beta=1.0),
        SmoothL1Loss(beta=1.0, weight=0.2),
        bbox_weighting="uniform",
        keypoint_map=[[0], [1], [2], [3, 4], [], []],
    ),
    "tinaface": DenseCriterion(
        ASSIGNERS["max_iou, ties"],
        DeltaCoder(),
        FocalLoss(),
        DIoULoss(),
        bbox_weighting="uniform",
        iou_loss=IoUBranchLoss(),
    ),
}


def target(count: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Objects of many sizes on whole pixels, hence with ties and doubles; a third ignored, landmarks partly missing."""
    center = torch.randint(0, SIDE, (count, 2), generator=generator)
    half = torch.randint(1, 40, (count, 2), generator=generator)
    boxes = torch.cat([center - half, center + half], dim=1).float()
    boxes[count // 2 :][:1] = boxes[:1]  # one box twice
    seen = torch.rand(count, 5, 1, generator=generator) < 0.7
    points = torch.rand(count, 5, 2, generator=generator) * SIDE
    return {
        "boxes": boxes,
        "labels": torch.randint(0, CLASSES, (count,), generator=generator),
        "keypoints": torch.cat([points, seen], dim=2),
        "ignore": torch.rand(count, generator=generator) < 0.3,
    }


def batch_of(counts: list[int], seed: int = 0) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [target(count, generator) for count in counts]


def outputs(images: int, anchors: Anchors, keypoints: int, seed: int = 0) -> FlatOutputs:
    generator = torch.Generator().manual_seed(seed)

    def draw(*values: int) -> Tensor:
        return torch.randn(images, len(anchors), *values, generator=generator).requires_grad_()

    return FlatOutputs(draw(CLASSES), draw(4), draw(2 * keypoints) if keypoints else None, draw())


COUNTS = [[3, 0, 12, 1], [0, 0], [40], [1, 25, 7, 0, 2]]


@pytest.fixture(params=["whole", "in parts"])
def rows_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The IoU matrix at once, or five boxes at a time, so that parts end within images and hold several."""
    if request.param == "in parts":
        monkeypatch.setattr(max_iou_module, "_AT_ONCE", 5 * len(LATTICE((SIDE, SIDE))))


@pytest.mark.usefixtures("rows_at_once")
@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("name", ASSIGNERS)
def test_matches_are_those_of_every_image(name: str, counts: list[int], plain_assigned: Plain) -> None:
    anchors, targets = LATTICE((SIDE, SIDE)), batch_of(counts)
    found = ASSIGNERS[name].assign_batch(anchors, join_targets(targets, torch.device("cpu")).boxes)
    first = 0
    for image, faces in enumerate(targets):
        used = (~faces["ignore"]).nonzero().squeeze(1)
        gt_index, iou = plain_assigned(ASSIGNERS[name], anchors, faces["boxes"][used])
        expected = torch.where(gt_index >= 0, first + torch.cat([used, used.new_zeros(1)])[gt_index], gt_index)
        assert torch.equal(found.gt_index[image], expected)
        torch.testing.assert_close(found.iou[image], iou)
        first += len(faces["boxes"])
    if sum(counts) > 10:
        assert bool(found.positive.any())


@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("name", CRITERIA)
def test_losses_and_gradients_are_those_of_every_image(name: str, counts: list[int], plain_losses: Plain) -> None:
    criterion, anchors, targets = CRITERIA[name], LATTICE((SIDE, SIDE)), batch_of(counts, seed=1)
    keypoints = {"scrfd": 5, "blazeface": 6, "tinaface": 0}[name]
    ours, plain = (outputs(len(targets), anchors, keypoints) for _ in range(2))
    losses, expected = criterion(ours, anchors, targets), plain_losses(criterion, plain, anchors, targets)
    assert list(losses) == list(expected)
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value, rtol=1e-5, atol=1e-6)
    for found in (losses, expected):
        torch.stack(list(found.values())).sum().backward()
    for key in ("logits", "deltas", "keypoints", "ious"):
        one, other = getattr(ours, key), getattr(plain, key)
        if one is not None and other.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-7)


def test_the_order_of_images_does_not_matter() -> None:
    anchors, targets = LATTICE((SIDE, SIDE)), batch_of([4, 0, 9])
    device = torch.device("cpu")
    for assigner in ASSIGNERS.values():
        straight = assigner.assign_batch(anchors, join_targets(targets, device).boxes)
        turned = assigner.assign_batch(anchors, join_targets(targets[::-1], device).boxes)
        assert torch.equal(straight.iou, turned.iou.flip(0))


def test_an_assigner_that_knows_one_image_is_asked_image_by_image() -> None:
    """A user's own assigner, here a suite's own without its batched form."""
    anchors, joined = LATTICE((SIDE, SIDE)), join_targets(batch_of([5, 0, 9]), torch.device("cpu"))
    own = ATSSAssigner()
    asked: list[int] = []

    def single(anchors: Anchors, boxes: Tensor) -> Any:
        asked.append(len(boxes))
        return own(anchors, boxes)

    found, expected = assign_batch(single, anchors, joined.boxes), own.assign_batch(anchors, joined.boxes)
    assert asked == [int((joined.boxes.used & (joined.boxes.image == image)).sum()) for image in range(3)]
    assert torch.equal(found.gt_index, expected.gt_index)
    assert torch.equal(found.iou, expected.iou)


def test_the_counter_sees_every_way_to_wait(waits: Callable[..., Counter[str]]) -> None:
    values = torch.arange(4.0)
    ways: list[Callable[[], Any]] = [
        lambda: values.nonzero(),
        lambda: values[0].item(),
        lambda: values[values > 1],
        lambda: values.masked_select(values > 1),
        lambda: int(values.sum()),
        lambda: bool(values.any()),
        lambda: values.clone().index_put_((values > 1,), torch.tensor(0.0)),
    ]
    assert [sum(waits(way).values()) > 0 for way in ways] == [True] * len(ways)
    assert not waits(lambda: values[torch.tensor([1, 2])] * values.sum())


@pytest.mark.parametrize("name", CRITERIA)
def test_a_criterion_waits_once_a_batch(name: str, waits: Callable[..., Counter[str]]) -> None:
    """For the number of positives: for batches of 2 and of 8, with crowds and without."""
    anchors = LATTICE((SIDE, SIDE))
    keypoints = {"scrfd": 5, "blazeface": 6, "tinaface": 0}[name]
    for counts in ([3, 1], [40, 0], [5, 0, 7, 1, 30, 2, 2, 9]):
        flat, targets = outputs(len(counts), anchors, keypoints), batch_of(counts)

        def run(flat: FlatOutputs = flat, targets: Any = targets) -> None:
            torch.stack(list(CRITERIA[name](flat, anchors, targets).values())).sum().backward()

        assert waits(run) == {"aten.nonzero": 1}


def test_image_by_image_waits_for_every_image(waits: Callable[..., Counter[str]]) -> None:
    """What the batched form is spared, and that the counter would tell."""
    anchors = LATTICE((SIDE, SIDE))
    found = []
    for counts in ([3] * 2, [3] * 8):
        boxes: BatchBoxes = join_targets(batch_of(counts), torch.device("cpu")).boxes
        found.append(sum(waits(lambda boxes=boxes: assign_image_by_image(ATSSAssigner(), anchors, boxes)).values()))
    assert found[1] == 4 * found[0] > 0
