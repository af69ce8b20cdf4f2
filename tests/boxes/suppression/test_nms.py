"""Hard suppression against plain loops and torchvision."""

import pytest
import torch
from torchvision.ops import batched_nms

from bench.boxes import Blending, Detections, Nms, SoftNms, Suppression, pairwise_iou

ALL = [Nms(0.45), SoftNms(), SoftNms(method="linear"), Blending()]


def crowd(count: int, groups: int = 3, seed: int = 0, step: float = 0.0, keypoints: bool = True) -> Detections:
    """Clusters of detections; scores and boxes full of ties where `step` rounds them."""
    generator = torch.Generator().manual_seed(seed)
    faces = torch.rand(6, 4, generator=generator) * 60 + torch.tensor([0.0, 0.0, 60.0, 60.0])
    boxes = faces[torch.randint(6, (count,), generator=generator)] + torch.randn(count, 4, generator=generator) * 8
    scores = torch.rand(count, generator=generator)
    if step:
        boxes, scores = (boxes / step).round() * step, (scores * 10).round() / 10
    points = torch.rand(count, 5, 2, generator=generator) * 100
    return Detections(
        boxes, scores, torch.randint(groups, (count,), generator=generator) * 7, points if keypoints else None
    )


def reference(detections: Detections, threshold: float) -> list[int]:
    iou = pairwise_iou(detections.boxes, detections.boxes)
    kept: list[int] = []
    for i in sorted(range(len(detections)), key=lambda i: -detections.scores[i].item()):  # stable
        if all(detections.groups[i] != detections.groups[k] or iou[i, k] <= threshold for k in kept):
            kept.append(i)
    return kept


def assert_same(a: Detections, b: Detections) -> None:
    torch.testing.assert_close(a.boxes, b.boxes)
    torch.testing.assert_close(a.scores, b.scores)
    assert torch.equal(a.groups, b.groups)
    assert (a.keypoints is None) == (b.keypoints is None)
    if a.keypoints is not None:
        torch.testing.assert_close(a.keypoints, b.keypoints)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", [0.0, 8.0])
def test_nms_equals_plain_loops(seed: int, step: float) -> None:
    detections = crowd(120, seed=seed, step=step)
    kept = reference(detections, 0.45)
    assert 0 < len(kept) < 120
    assert_same(Nms(0.45)(detections), detections.select(torch.tensor(kept)))


def test_nms_is_torchvision_s() -> None:
    detections = crowd(400, groups=5, seed=9)
    kept = batched_nms(detections.boxes.double(), detections.scores.double(), detections.groups, 0.5)
    assert_same(Nms(0.5)(detections), detections.select(kept))


def test_nms_by_hand() -> None:
    # IoU of the first two is 1/2 (2x4 of 2x4 + 4x4 - 8); the third is the second's copy in another group.
    boxes = torch.tensor([[2.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 4.0]])
    detections = Detections(boxes, torch.tensor([0.5, 0.6, 0.7]), torch.tensor([0, 0, 1]))
    assert Nms(0.5)(detections).scores.tolist() == pytest.approx([0.7, 0.6, 0.5])  # equal is not over
    assert Nms(0.49)(detections).scores.tolist() == pytest.approx([0.7, 0.6])


def test_groups_far_apart_keep_their_precision() -> None:
    # torchvision's shifted coordinates lose 1/16 px at group 1000 and would find another IoU here.
    # Shift 0.3 px on a side of 1 px: IoU 0.7 / 1.3 = 0.538, over 0.53.
    boxes = torch.tensor([[1000.0, 0.0, 1001.0, 1.0], [1000.3, 0.0, 1001.3, 1.0]])
    detections = Detections(boxes, torch.tensor([0.9, 0.8]), torch.tensor([10_000, 10_000]))
    assert len(Nms(0.53)(detections)) == 1
    assert len(Nms(0.55)(detections)) == 2
    double = Detections(boxes.double(), detections.scores, detections.groups)
    assert len(Nms(0.53)(double)) == 1


@pytest.mark.parametrize("suppress", ALL)
class TestEverySuppression:
    def test_batched_equals_single(self, suppress: Suppression) -> None:
        detections = crowd(300, groups=6)
        result = suppress(detections)
        parts = [suppress(detections.select(detections.groups == g)) for g in detections.groups.unique()]
        assert len(result) == sum(len(part) for part in parts)
        for part in parts:
            assert_same(result.select(result.groups == part.groups[0]), part)

    def test_order_of_input_does_not_matter(self, suppress: Suppression) -> None:
        detections = crowd(300)  # without equal scores
        order = torch.randperm(300, generator=torch.Generator().manual_seed(1))
        assert_same(suppress(detections.select(order)), suppress(detections))

    def test_sorted_by_score(self, suppress: Suppression) -> None:
        result = suppress(crowd(300))
        assert (result.scores.diff() <= 0).all()
        assert 1 < len(result) <= 300

    def test_empty(self, suppress: Suppression) -> None:
        for keypoints in (True, False):
            result = suppress(crowd(0, keypoints=keypoints))
            assert result.boxes.shape == (0, 4)
            assert result.scores.shape == (0,)
            assert result.keypoints is None or result.keypoints.shape == (0, 5, 2)

    def test_one_detection_is_itself(self, suppress: Suppression) -> None:
        assert_same(suppress(crowd(1)), crowd(1))

    def test_without_keypoints(self, suppress: Suppression) -> None:
        with_points, without = suppress(crowd(100)), suppress(crowd(100, keypoints=False))
        assert without.keypoints is None
        assert torch.equal(with_points.boxes, without.boxes)

    def test_boxes_without_area_end_and_stay(self, suppress: Suppression) -> None:
        # Two equal points, their IoU 0 even with themselves, and a box of lower score, which must not get lost.
        boxes = torch.tensor([[5.0, 5.0, 5.0, 5.0], [5.0, 5.0, 5.0, 5.0], [0.0, 0.0, 4.0, 4.0]])
        detections = Detections(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3, dtype=torch.int64))
        assert_same(suppress(detections), detections)

    def test_half_precision(self, suppress: Suppression) -> None:
        detections = crowd(200)
        half = Detections(detections.boxes.half(), detections.scores.half(), detections.groups)
        full = Detections(half.boxes.float(), half.scores.float(), half.groups)
        assert torch.equal(suppress(half).boxes.float(), suppress(full).boxes)
        torch.testing.assert_close(suppress(half).scores.float(), suppress(full).scores)

    def test_many_rounds_and_groups_of_all_sizes(self, suppress: Suppression) -> None:
        # 200 boxes side by side in one group (200 rounds), 70 in the next, 1 in the last: nothing is lost.
        x = torch.arange(200.0)[:, None] * 10
        row = torch.cat([x, x * 0, x + 8, x * 0 + 8], dim=1)
        boxes, groups = torch.cat([row, row[:70], row[:1]]), torch.tensor([4] * 200 + [1] * 70 + [9])
        scores = torch.rand(271, generator=torch.Generator().manual_seed(2)) * 0.9 + 0.1
        detections = Detections(boxes, scores, groups)
        assert_same(suppress(detections), detections.sorted_by_score())

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    def test_cuda_equals_cpu(self, suppress: Suppression) -> None:
        cpu = crowd(300)
        assert cpu.keypoints is not None
        gpu = suppress(Detections(cpu.boxes.cuda(), cpu.scores.cuda(), cpu.groups.cuda(), cpu.keypoints.cuda()))
        assert gpu.keypoints is not None
        assert_same(Detections(gpu.boxes.cpu(), gpu.scores.cpu(), gpu.groups.cpu(), gpu.keypoints.cpu()), suppress(cpu))
