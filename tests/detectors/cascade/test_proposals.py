"""Boxes between the stages, by hand."""

import torch
from torch import Tensor

from bench.detectors.cascade.networks import StageOutputs
from bench.detectors.cascade.proposals import Proposals, keypoints_of, mirrored_landmarks, proposals_of_level


def proposals(boxes: list[list[float]], scores: list[float], image: list[int] | None = None) -> Proposals:
    count = len(boxes)
    index = torch.tensor(image or [0] * count, dtype=torch.int64)
    return Proposals(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4), torch.tensor(scores), index, torch.zeros(count, 4)
    )


def test_cells_become_windows() -> None:
    """Cell (1, 2) at scale 0.6: x from (2 * 2 + 1) / 0.6 = 8.33 to (4 + 12) / 0.6 = 26.67, y 5 to 23.33; whole."""
    logits = torch.full((2, 2, 3, 4), -1.0)
    logits[:, 0] = 1.0
    logits[1, :, 1, 2] = torch.tensor([0.0, 2.0])
    offsets = torch.arange(2.0 * 4 * 12).view(2, 4, 3, 4)
    found = proposals_of_level(StageOutputs(logits, offsets, None), 0.6, 0.6, torch.tensor([7, 9]), 12, 2)
    assert found.boxes.tolist() == [[8, 5, 26, 23]]
    assert found.image.tolist() == [9]
    assert found.offsets.tolist() == offsets[1, :, 1, 2][None].tolist()
    torch.testing.assert_close(found.scores, torch.tensor([2.0]).sigmoid())


def test_the_first_threshold_may_be_reached() -> None:
    outputs = StageOutputs(torch.zeros(1, 2, 1, 1), torch.zeros(1, 4, 1, 1), None)
    assert len(proposals_of_level(outputs, 1.0, 0.5, torch.tensor([0]), 12, 2).image) == 1


def test_calibration_with_and_without_the_last_pixel() -> None:
    found = proposals([[10, 20, 30, 60]], [0.9])
    found = Proposals(found.boxes, found.scores, found.image, torch.tensor([[0.1, -0.1, 0.2, 0.5]]))
    torch.testing.assert_close(found.calibrated(0.0).boxes, torch.tensor([[12.0, 16, 34, 80]]))
    torch.testing.assert_close(found.calibrated(1.0).boxes, torch.tensor([[12.1, 15.9, 34.2, 80.5]]))


def test_squares_keep_the_centre() -> None:
    assert proposals([[10, 20, 30, 60]], [0.9]).squared().boxes.tolist() == [[0, 20, 40, 60]]


def test_suppression_counts_the_last_pixel_where_asked() -> None:
    """Boxes 0..9 and 0..7: by pixels 8 / 10 = 0.8 on each axis, 0.64; by corners (7 / 9)^2 = 0.605."""
    found = proposals([[0, 0, 9, 9], [0, 0, 7, 7]], [0.8, 0.9])
    assert found.suppressed(0.62, 1.0).scores.tolist() == torch.tensor([0.9]).tolist()
    assert len(found.suppressed(0.62, 0.0).scores) == 2
    assert len(found.suppressed(0.65, 1.0).scores) == 2


def test_suppression_stays_in_the_image() -> None:
    found = proposals([[0, 0, 9, 9]] * 4, [0.6, 0.7, 0.8, 0.9], [0, 1, 0, 1]).suppressed(0.5, 1.0)
    assert found.image.tolist() == [0, 1]
    torch.testing.assert_close(found.scores, torch.tensor([0.8, 0.9]))
    assert len(proposals([], []).suppressed(0.5, 1.0).scores) == 0


def test_a_box_inside_another_goes_by_the_smaller_area() -> None:
    """0..9 holds 0..2 wholly: 9 / 9 = 1, at an IoU of 0.09; 8..17 shares 2 x 10 of 100 pixels with 0..9."""
    found = proposals([[0, 0, 2, 2], [0, 0, 9, 9], [8, 0, 17, 9], [0, 0, 2, 2]], [0.8, 0.9, 0.7, 0.6], [0, 0, 0, 1])
    assert sorted(found.survivors_by_smaller(0.7).tolist()) == [1, 2, 3]
    assert sorted(found.survivors_by_smaller(0.19).tolist()) == [1, 3]
    assert sorted(found.survivors_by_smaller(0.2).tolist()) == [1, 2, 3]
    assert found.select(found.survivors_by_smaller(1.0)).image.shape == (4,)


def test_of_equal_scores_the_later_wins() -> None:
    found = proposals([[0, 0, 9, 9], [1, 0, 9, 9], [0, 1, 9, 9]], [0.9, 0.9, 0.8])
    assert found.survivors_by_smaller(0.5).tolist() == [1]


def test_landmarks_of_a_mirrored_window() -> None:
    """x of the left eye is 1 - x of the mirrored right eye; the nose keeps its place in the order."""
    landmarks = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]])
    expected = torch.tensor([[0.8, 0.9, 0.7, 0.5, 0.6, 0.7, 0.6, 0.8, 1.0, 0.9]])
    torch.testing.assert_close(mirrored_landmarks(landmarks), expected)
    torch.testing.assert_close(mirrored_landmarks(mirrored_landmarks(landmarks)), landmarks)


def test_keypoints_in_pixels() -> None:
    """Of the box 11..30, 20 pixels wide: 0 is its left edge at 10 pixels, 1 its right at 30."""
    boxes = torch.tensor([[11.0, 21, 30, 60]])
    landmarks: Tensor = torch.tensor([[0.0, 1, 0.5, 0.25, 0.75, 0, 1, 0.5, 0.5, 0.25]])
    assert keypoints_of(boxes, landmarks).tolist() == [[[10, 20], [30, 60], [20, 40], [15, 40], [25, 30]]]
