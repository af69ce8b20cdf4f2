"""The criterion on four anchors: what is matched, weighted, divided and left out, by hand."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.boxes import IGNORED, NEGATIVE, AnchorGenerator, Anchors, Assignment, DeltaCoder, DistanceCoder
from bench.errors import ConfigError
from bench.losses import criterion as module
from bench.losses.boxes import DIoULoss, SmoothL1Loss
from bench.losses.criterion import DenseCriterion, FlatOutputs, reduce_mean
from bench.losses.hard_negative_bce import HardNegativeBCE
from bench.losses.iou_branch import IoUBranchLoss
from bench.losses.quality_focal import QualityFocalLoss

LN2, LN3 = math.log(2), math.log(3)
ANCHORS = AnchorGenerator((8,), ((16.0,),))((16, 16))  # centers (0, 0), (8, 0), (0, 8), (8, 8)
# In both images: anchor 3 predicts (0, 0, 16, 16) at p = 1/2, anchor 0 (-8, -8, 8, 8) at p = 3/4, the others p = 1/2.
LOGITS = torch.tensor([LN3, 0.0, 0.0, 0.0])
DELTAS = torch.ones(4, 4)
FIRST = torch.tensor([8.0, 0, 24, 16])  # IoU 1/3 with anchor 3's prediction, DIoU 1/3 - 1/13
SECOND = torch.tensor([-8.0, -8, 8, 8])  # exactly anchor 0's prediction
DIOU_LOSS = 2 * (1 - (1 / 3 - 1 / 13))


@dataclass(frozen=True)
class Answers:
    """An assigner that gives prepared answers in turn and remembers the boxes it saw."""

    answers: list[list[int]]
    seen: list[Tensor] = field(default_factory=list)

    def __call__(self, anchors: Anchors, boxes: Tensor) -> Assignment:
        gt_index = torch.tensor(self.answers[len(self.seen)])
        self.seen.append(boxes)
        return Assignment(gt_index, torch.zeros(len(anchors)))


@dataclass(frozen=True)
class Recorder:
    """A box loss of 1 for each positive, which remembers what it was given."""

    decoded: bool
    given: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        self.given.append((predicted, target))
        return predicted.sum(-1) * 0 + 1


def target(*boxes: Tensor, ignore: tuple[bool, ...] | None = None, keypoints: Tensor | None = None) -> dict[str, Any]:
    return {
        "boxes": torch.stack(boxes) if boxes else torch.zeros(0, 4),
        "labels": torch.zeros(len(boxes), dtype=torch.int64),
        "keypoints": torch.zeros(len(boxes), 5, 3) if keypoints is None else keypoints,
        "ignore": torch.tensor(ignore or (False,) * len(boxes), dtype=torch.bool),
    }


def flat(images: int = 1, keypoints: int = 0) -> FlatOutputs:
    return FlatOutputs(
        LOGITS.repeat(images, 1)[..., None].clone().requires_grad_(),
        DELTAS.repeat(images, 1, 1).requires_grad_(),
        torch.zeros(images, 4, 2 * keypoints, requires_grad=True) if keypoints else None,
    )


def value(loss: Tensor) -> float:
    return float(loss.detach())


def scrfd(*answers: list[int]) -> DenseCriterion:
    return DenseCriterion(
        Answers(list(answers)), DistanceCoder(), QualityFocalLoss(), DIoULoss(), SmoothL1Loss(beta=1 / 9, weight=0.1)
    )


N = NEGATIVE
# anchor 3 -> face 0, anchor 0 -> face 1
MATCHED = [1, N, N, 0]
# positives: ln 2 (1/3 - 1/2)^2 and -ln(3/4) (1 - 3/4)^2; two negatives at p = 1/2
CLS_SUM = LN2 / 36 + 0.0625 * math.log(4 / 3) + 2 * 0.25 * LN2


def test_scores_weight_positives_and_divide() -> None:
    losses = scrfd(MATCHED)(flat(), ANCHORS, [target(FIRST, SECOND)])
    assert set(losses) == {"loss_cls", "loss_bbox"}
    assert value(losses["loss_cls"]) == pytest.approx(CLS_SUM / 2, rel=1e-5)  # 2 positives
    # weights 1/2 (anchor 3) and 3/4 (anchor 0, whose box is right), divided by their sum
    assert value(losses["loss_bbox"]) == pytest.approx(0.5 * DIOU_LOSS / 1.25, rel=1e-5)


def test_boxes_are_trained_whatever_their_scores() -> None:
    """The divisor vanishes with the weights: at a score of 1e-13 the loss is what it is at 1/2."""
    outputs = flat()
    outputs.logits = torch.full((1, 4, 1), -30.0)
    losses = scrfd(MATCHED)(outputs, ANCHORS, [target(FIRST, SECOND)])
    losses["loss_bbox"].backward()
    assert value(losses["loss_bbox"]) == pytest.approx(DIOU_LOSS / 2, rel=1e-5)
    assert outputs.deltas.grad is not None
    assert float(outputs.deltas.grad[0, 3].norm()) > 0.1


def test_uniform_weights_divide_by_positives() -> None:
    losses = replace(scrfd(MATCHED), bbox_weighting="uniform")(flat(), ANCHORS, [target(FIRST, SECOND)])
    assert value(losses["loss_bbox"]) == pytest.approx(DIOU_LOSS / 2, rel=1e-5)


@pytest.mark.parametrize("weighting", ["score", "uniform"])
def test_an_image_without_faces_counts_as_one_positive(weighting: Any) -> None:
    criterion = replace(scrfd(MATCHED, [N] * 4), bbox_weighting=weighting)
    losses = criterion(flat(2), ANCHORS, [target(FIRST, SECOND), target()])
    # its four anchors are negatives at p = 3/4, 1/2, 1/2, 1/2
    expected = CLS_SUM + 0.5625 * math.log(4) + 3 * 0.25 * LN2
    assert value(losses["loss_cls"]) == pytest.approx(expected / 3, rel=1e-5)  # 2 + 1
    bbox = 0.5 * DIOU_LOSS / 1.25 if weighting == "score" else DIOU_LOSS / 3
    assert value(losses["loss_bbox"]) == pytest.approx(bbox, rel=1e-5)


@pytest.mark.parametrize("weighting", ["score", "uniform"])
@pytest.mark.parametrize("classes", [QualityFocalLoss(), HardNegativeBCE()])
def test_a_batch_without_faces_is_finite(weighting: Any, classes: Any) -> None:
    outputs = flat(2, keypoints=5)
    criterion = replace(scrfd([N] * 4, [N] * 4), bbox_weighting=weighting, cls_loss=classes)
    losses = criterion(outputs, ANCHORS, [target(), target()])
    torch.stack(list(losses.values())).sum().backward()
    assert value(losses["loss_cls"]) > 0
    assert value(losses["loss_bbox"]) == value(losses["loss_kps"]) == 0.0
    for values in (outputs.logits, outputs.deltas, outputs.keypoints):
        assert values is not None
        assert values.grad is not None  # connected all the same: distributed training waits for every parameter
        assert bool(values.grad.isfinite().all())


def test_score_weights_are_detached() -> None:
    outputs = flat()
    scrfd(MATCHED)(outputs, ANCHORS, [target(FIRST, SECOND)])["loss_bbox"].backward()
    assert outputs.logits.grad is None
    assert outputs.deltas.grad is not None
    assert outputs.deltas.grad[0].any(-1).tolist() == [True, False, False, True]  # the positives


def test_quality_is_detached() -> None:
    outputs = flat()
    scrfd(MATCHED)(outputs, ANCHORS, [target(FIRST, SECOND)])["loss_cls"].backward()
    assert outputs.deltas.grad is None


def test_decoded_losses_see_units_of_the_stride() -> None:
    recorder = Recorder(decoded=True)
    replace(scrfd(MATCHED), bbox_loss=recorder)(flat(), ANCHORS, [target(FIRST, SECOND)])
    predicted, wanted = recorder.given[0]
    # anchors in ascending order: anchor 0 with SECOND, then anchor 3 with FIRST
    assert predicted.tolist() == [[-1, -1, 1, 1], [0, 0, 2, 2]]
    assert wanted.tolist() == [[-1, -1, 1, 1], [1, 0, 3, 2]]


def test_encoded_losses_see_deltas() -> None:
    recorder = Recorder(decoded=False)
    criterion = replace(scrfd(MATCHED), bbox_loss=recorder, coder=DeltaCoder())
    criterion(flat(), ANCHORS, [target(FIRST, SECOND)])
    predicted, wanted = recorder.given[0]
    assert predicted.tolist() == [[1.0] * 4] * 2
    # boxes as large as their anchors: SECOND on anchor 0 is no offset, FIRST is 8 right of anchor 3: 8 / 16 / 0.1
    torch.testing.assert_close(wanted, torch.tensor([[0.0, 0, 0, 0], [5, 0, 0, 0]]))


def test_ignored_faces_are_not_matched() -> None:
    criterion = scrfd([N, N, N, 0])
    losses = criterion(flat(), ANCHORS, [target(SECOND, FIRST, ignore=(True, False))])
    assert isinstance(criterion.assigner, Answers)
    assert criterion.assigner.seen[0].tolist() == [FIRST.tolist()]
    assert value(losses["loss_bbox"]) == pytest.approx(DIOU_LOSS, rel=1e-5)


def test_ignored_anchors_are_neither_positive_nor_negative() -> None:
    losses = scrfd([1, N, IGNORED, 0])(flat(), ANCHORS, [target(FIRST, SECOND)])
    assert value(losses["loss_cls"]) == pytest.approx((CLS_SUM - 0.25 * LN2) / 2, rel=1e-5)


def test_labels_choose_the_class() -> None:
    outputs = FlatOutputs(torch.zeros(1, 4, 3, requires_grad=True), DELTAS[None].clone(), None)
    faces = target(FIRST, SECOND) | {"labels": torch.tensor([2, 1])}
    replace(scrfd(MATCHED), cls_loss=HardNegativeBCE(minimum=0, ratio=0))(outputs, ANCHORS, [faces])[
        "loss_cls"
    ].backward()
    assert outputs.logits.grad is not None
    falling = outputs.logits.grad[0] < 0  # logits to be raised
    assert falling.nonzero().tolist() == [[0, 1], [3, 2]]


def test_keypoints() -> None:
    keypoints = torch.zeros(2, 5, 3)
    keypoints[0, :, :2] = torch.tensor([8.0, 8.0])  # on anchor 3's center: no loss for predictions of 0 ...
    keypoints[0, 1, :2] = torch.tensor([12.0, 8.0])  # ... but here, half a stride away
    keypoints[0, 4, :2] = torch.tensor([-1.0, -1.0])  # not labelled
    keypoints[0, :4, 2] = 1.0
    # face 1 has no landmarks
    losses = scrfd(MATCHED)(flat(keypoints=5), ANCHORS, [target(FIRST, SECOND, keypoints=keypoints)])
    # smooth L1 at 1/2 with beta 1/9: 1/2 - 1/18 = 4/9; weight 0.1; score weight 1/2 over 1.25
    assert value(losses["loss_kps"]) == pytest.approx(0.1 * 4 / 9 * 0.5 / 1.25, rel=1e-5)


def test_keypoint_map() -> None:
    """MediaPipe's six keypoints from five landmarks: the mouth is the mean of its corners, ears stay untrained."""
    criterion = replace(scrfd(MATCHED), keypoint_map=[[0], [1], [2], [3, 4], [], []])
    labelled = torch.arange(30.0).view(2, 5, 3)
    labelled[..., 2] = 1.0
    labelled[1, 4, 2] = 0.0  # one corner of the mouth hidden: no mouth
    points, visible = criterion.keypoint_targets(labelled)
    assert points[0, :4].tolist() == [[0, 1], [3, 4], [6, 7], [10.5, 11.5]]
    assert points.shape == (2, 6, 2)
    assert visible.tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]]
    points, visible = criterion.keypoint_targets(labelled[:0])
    assert (points.shape, visible.shape) == ((0, 6, 2), (0, 6))


def test_keypoints_that_do_not_fit_the_data() -> None:
    with pytest.raises(ConfigError, match="6 keypoints, the data gives it 5"):
        scrfd(MATCHED)(flat(keypoints=6), ANCHORS, [target(FIRST, SECOND)])


def test_half_precision_outputs_give_float_losses() -> None:
    exact = flat(keypoints=5)
    assert exact.keypoints is not None
    rounded = FlatOutputs(exact.logits.bfloat16(), exact.deltas.bfloat16(), exact.keypoints.bfloat16())
    one, other = (scrfd(MATCHED)(x, ANCHORS, [target(FIRST, SECOND)]) for x in (exact, rounded))
    for name in one:
        assert other[name].dtype == torch.float32
        assert value(other[name]) == pytest.approx(value(one[name]), rel=1e-2)


def test_batched_is_the_sum_of_images() -> None:
    """With the divisors taken out: two images weigh as much as their positives."""
    faces = [target(FIRST, SECOND), target(SECOND)]
    together = scrfd(MATCHED, [0, N, N, N])(flat(2), ANCHORS, faces)["loss_cls"]
    alone = [
        scrfd(answer)(flat(), ANCHORS, [face])["loss_cls"]
        for answer, face in zip((MATCHED, [0, N, N, N]), faces, strict=True)
    ]
    assert value(together) == pytest.approx((2 * value(alone[0]) + value(alone[1])) / 3, rel=1e-6)


def test_divisors_are_means_over_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_reduce(value: Tensor) -> None:
        value += 3 / 2  # what the other of two processes brings in

    monkeypatch.setattr(module.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(module.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(module.dist, "all_reduce", all_reduce)
    own = torch.tensor(5.0)
    assert float(reduce_mean(own)) == 4.0
    assert float(own) == 5.0


def test_iou_branch_learns_the_iou_of_the_box_it_stands_beside() -> None:
    """Anchor 3 reaches IoU 1/3 with its face, anchor 0 reaches 1; boxes get no gradient."""
    uniform = replace(
        scrfd([-1, -1, -1, 0], [0, -1, -1, -1]), bbox_weighting="uniform", iou_loss=IoUBranchLoss(weight=3.0)
    )
    outputs = flat(2)
    assert "loss_iou" not in uniform(outputs, ANCHORS, [target(FIRST), target(SECOND)])
    uniform = replace(uniform, assigner=Answers([[-1, -1, -1, 0], [0, -1, -1, -1]]))
    outputs = flat(2)
    outputs.ious = torch.tensor([[9.0, 9, 9, 0], [LN3, 9, 9, 9]], requires_grad=True)
    loss = uniform(outputs, ANCHORS, [target(FIRST), target(SECOND)])["loss_iou"]
    assert value(loss) == pytest.approx(3 * (LN2 + math.log(4 / 3)) / 2)
    loss.backward()
    assert outputs.deltas.grad is None
    assert outputs.ious.grad is not None
    # sigmoid minus target, times weight over count
    assert outputs.ious.grad.flatten().tolist() == pytest.approx(
        [0, 0, 0, 1.5 * (1 / 2 - 1 / 3), 1.5 * (3 / 4 - 1), 0, 0, 0]
    )
