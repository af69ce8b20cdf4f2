"""Soft-NMS and blending, by hand and against plain loops."""

import math

import pytest
import torch

from bench.boxes import Blending, Detections, SoftNms, pairwise_iou
from bench.errors import ConfigError

# Side 4 at x = 0, 2 and 20: IoU of the first two is 8 / 24 = 1/3, the third stands alone.
ROW = torch.tensor([[0.0, 0.0, 4.0, 4.0], [2.0, 0.0, 6.0, 4.0], [20.0, 0.0, 24.0, 4.0]])
SCORES = torch.tensor([0.9, 0.8, 0.5])
ONE_GROUP = torch.zeros(3, dtype=torch.int64)


def crowd(count: int, seed: int, step: float = 0.0) -> Detections:
    generator = torch.Generator().manual_seed(seed)
    faces = torch.rand(5, 4, generator=generator) * 50 + torch.tensor([0.0, 0.0, 50.0, 50.0])
    boxes = faces[torch.randint(5, (count,), generator=generator)] + torch.randn(count, 4, generator=generator) * 9
    scores = torch.rand(count, generator=generator)
    if step:
        boxes, scores = (boxes / step).round() * step, (scores * 8).round() / 8
    groups = torch.randint(3, (count,), generator=generator)
    return Detections(boxes, scores, groups, torch.rand(count, 2, 2, generator=generator) * 90)


def soft_reference(detections: Detections, rule: SoftNms) -> list[tuple[float, int]]:
    """(score, index) of what comes out, best first."""
    iou = pairwise_iou(detections.boxes, detections.boxes)
    scores = detections.scores.clone()
    left = [i for i in range(len(detections)) if scores[i] >= rule.score_threshold]
    result = []
    while left:
        best = max(left, key=lambda i: scores[i].item())  # the first of equals
        left.remove(best)
        result.append((scores[best].item(), best))
        for i in [i for i in left if detections.groups[i] == detections.groups[best]]:
            if rule.method == "gaussian":
                scores[i] *= math.exp(-(iou[best, i].item() ** 2) / rule.sigma)
            elif iou[best, i] > rule.iou_threshold:
                scores[i] *= 1 - iou[best, i]
            if scores[i] < rule.score_threshold:
                left.remove(i)
    return sorted(result, key=lambda pair: -pair[0])


def blending_reference(detections: Detections, threshold: float) -> list[tuple[float, list[float], list[float]]]:
    """(score, box, keypoints) of what comes out, best first."""
    iou = pairwise_iou(detections.boxes, detections.boxes)
    left = sorted(range(len(detections)), key=lambda i: -detections.scores[i].item())
    result = []
    while left:
        seed = left[0]
        cluster = [
            i
            for i in left
            if i == seed or (detections.groups[i] == detections.groups[seed] and iou[seed, i] > threshold)
        ]
        left = [i for i in left if i not in cluster]
        weight = detections.scores[cluster].double()
        if weight.sum() == 0:
            cluster, weight = [seed], torch.ones(1).double()
        assert detections.keypoints is not None
        values = torch.cat([detections.boxes, detections.keypoints.flatten(1)], dim=1)[cluster].double()
        mean = ((values * weight[:, None]).sum(0) / weight.sum()).tolist()
        result.append((detections.scores[seed].item(), mean[:4], mean[4:]))
    return result


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "rule",
    [SoftNms(), SoftNms(sigma=0.2, score_threshold=0.1), SoftNms(method="linear"), SoftNms(score_threshold=0.0)],
)
def test_soft_nms_equals_plain_loops(rule: SoftNms, seed: int) -> None:
    detections = crowd(150, seed)
    expected = soft_reference(detections, rule)
    result = rule(detections)
    torch.testing.assert_close(result.scores, torch.tensor([score for score, _ in expected]), atol=1e-6, rtol=1e-4)
    index = torch.tensor([i for _, i in expected])
    assert torch.equal(result.boxes, detections.boxes[index])
    assert torch.equal(result.groups, detections.groups[index])
    assert detections.keypoints is not None
    assert result.keypoints is not None
    assert torch.equal(result.keypoints, detections.keypoints[index])


def test_gaussian_by_hand() -> None:
    # The neighbor keeps 0.8 * exp(-(1/3)^2 / 0.5) = 0.8 * exp(-2/9) = 0.6406.
    result = SoftNms()(Detections(ROW, SCORES, ONE_GROUP))
    assert result.scores.tolist() == pytest.approx([0.9, 0.8 * math.exp(-2 / 9), 0.5])
    # sigma 0.1: 0.8 * exp(-10/9) = 0.2633, now behind the third; and below a threshold of 0.3.
    result = SoftNms(sigma=0.1)(Detections(ROW, SCORES, ONE_GROUP))
    assert result.scores.tolist() == pytest.approx([0.9, 0.5, 0.8 * math.exp(-10 / 9)])
    assert torch.equal(result.boxes, ROW[[0, 2, 1]])
    assert len(SoftNms(sigma=0.1, score_threshold=0.3)(Detections(ROW, SCORES, ONE_GROUP))) == 2


def test_linear_by_hand() -> None:
    # 1/3 > 0.3: 0.8 * (1 - 1/3) = 0.5333; at a threshold of 0.4 nothing happens.
    linear = SoftNms(method="linear", iou_threshold=0.3)(Detections(ROW, SCORES, ONE_GROUP))
    assert linear.scores.tolist() == pytest.approx([0.9, 0.8 * 2 / 3, 0.5])
    untouched = SoftNms(method="linear", iou_threshold=0.4)(Detections(ROW, SCORES, ONE_GROUP))
    assert untouched.scores.tolist() == pytest.approx([0.9, 0.8, 0.5])


def test_score_threshold_takes_what_equals_it() -> None:
    scores = torch.tensor([0.5, 0.25, 0.125])
    assert len(SoftNms(score_threshold=0.125)(Detections(ROW[[0, 2, 2]] + ROW[[0, 0, 2]], scores, ONE_GROUP))) == 3
    assert len(SoftNms(score_threshold=0.126)(Detections(ROW[[0, 2, 2]] + ROW[[0, 0, 2]], scores, ONE_GROUP))) == 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", [0.0, 10.0])
@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_blending_equals_plain_loops(seed: int, step: float, threshold: float) -> None:
    detections = crowd(150, seed, step)
    expected = blending_reference(detections, threshold)
    result = Blending(threshold)(detections)
    assert result.keypoints is not None
    assert 3 < len(result) < 150
    assert torch.equal(result.scores, torch.tensor([score for score, _, _ in expected]))
    torch.testing.assert_close(result.boxes, torch.tensor([box for _, box, _ in expected]))
    torch.testing.assert_close(result.keypoints.flatten(1), torch.tensor([points for _, _, points in expected]))


def test_blending_by_hand() -> None:
    # Seed 0.9 and its neighbor 0.6: x1 = (0.9 * 0 + 0.6 * 2) / 1.5 = 0.8, x2 = 4.8. A keypoint at x = 10 and 40:
    # (9 + 24) / 1.5 = 22. The score stays 0.9. IoU 1/3 > 0.3, but not > 1/3.
    points = torch.tensor([[[10.0, 0.0]], [[40.0, 0.0]], [[7.0, 7.0]]])
    detections = Detections(ROW, torch.tensor([0.9, 0.6, 0.5]), ONE_GROUP, points)
    result = Blending(0.3)(detections)
    torch.testing.assert_close(result.boxes, torch.tensor([[0.8, 0.0, 4.8, 4.0], [20.0, 0.0, 24.0, 4.0]]))
    assert result.scores.tolist() == pytest.approx([0.9, 0.5])
    assert result.keypoints is not None
    torch.testing.assert_close(result.keypoints, torch.tensor([[[22.0, 0.0]], [[7.0, 7.0]]]))
    third = pairwise_iou(ROW[:1], ROW[1:2]).item()
    assert len(Blending(third)(detections)) == 3


def test_blending_compares_with_the_seed_and_not_with_the_mean() -> None:
    # Boxes of side 10 at x = 0, 4, 7: IoU with the seed 6/14 and 3/17 = 0.18. The mean of the first two would lie at
    # x = 1.9 and have an IoU of 4.9/15.1 = 0.32 with the third; against the seed it stays out.
    boxes = torch.tensor([[x, 0.0, x + 10, 10.0] for x in (0.0, 4.0, 7.0)])
    result = Blending(0.3)(Detections(boxes, torch.tensor([0.9, 0.8, 0.7]), ONE_GROUP))
    assert len(result) == 2
    assert torch.equal(result.boxes[1], boxes[2])


def test_blending_of_zero_scores_is_the_seed() -> None:
    result = Blending(0.3)(Detections(ROW, torch.zeros(3), ONE_GROUP))
    assert torch.equal(result.boxes, ROW[[0, 2]])


def test_bad_options() -> None:
    with pytest.raises(ConfigError, match="gaussian or linear"):
        SoftNms(method="cubic")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="sigma > 0"):
        SoftNms(sigma=0.0)
