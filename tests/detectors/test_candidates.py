"""Candidates of a batch in one row: from equal numbers an image, of several looks, and some of them."""

import pytest
import torch

from bench.detectors.candidates import Candidates


def numbered(images: int, count: int) -> torch.Tensor:
    """Boxes [images, count, 4] that tell image and place: 10 * image + place, four times."""
    number = 10.0 * torch.arange(images)[:, None] + torch.arange(count)
    return number[..., None].expand(images, count, 4)


def test_equal_numbers_an_image() -> None:
    scores = torch.arange(12.0).view(2, 3, 2) / 12
    keypoints = numbered(2, 3)[..., :2, None].expand(2, 3, 2, 2)
    sizes = torch.tensor([[8, 9], [10, 11]])
    found = Candidates.dense(numbered(2, 3), scores, sizes, keypoints)
    assert found.image.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.image.dtype == torch.int64
    assert found.boxes[:, 0].tolist() == [0, 1, 2, 10, 11, 12]
    assert torch.equal(found.scores, scores.view(6, 2))
    assert found.keypoints is not None
    assert found.keypoints[:, 1, 1].tolist() == [0, 1, 2, 10, 11, 12]
    assert found.sizes is sizes


@pytest.mark.parametrize(("images", "count"), [(2, 0), (1, 3)])
def test_none_and_one(images: int, count: int) -> None:
    found = Candidates.dense(numbered(images, count), torch.ones(images, count, 1), torch.tensor([[8, 8]] * images))
    assert found.boxes.shape == (images * count, 4)
    assert found.scores.shape == (images * count, 1)
    assert found.image.tolist() == [0] * count * images
    assert found.keypoints is None


def test_joined_and_selected() -> None:
    """Looks of different numbers, the second without anything in image 0."""
    sizes = torch.tensor([[8, 8], [8, 8]])
    points = torch.arange(6.0).view(3, 1, 2)
    first = Candidates(torch.zeros(2, 4), torch.tensor([[0.1], [0.2]]), torch.tensor([0, 1]), sizes, points[:2])
    second = Candidates(torch.ones(1, 4), torch.tensor([[0.3]]), torch.tensor([1]), sizes, points[2:])
    both = Candidates.joined([first, second])
    assert both.image.tolist() == [0, 1, 1]
    assert both.scores[:, 0].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert both.boxes[:, 0].tolist() == [0, 0, 1]
    assert both.keypoints is not None
    assert torch.equal(both.keypoints, points)
    for index in (torch.tensor([2, 0]), torch.tensor([True, False, True])):
        chosen = both.select(index)
        order = [2, 0] if index.dtype == torch.int64 else [0, 2]
        assert chosen.image.tolist() == both.image[order].tolist()
        assert chosen.boxes.tolist() == both.boxes[order].tolist()
        assert chosen.scores.tolist() == both.scores[order].tolist()
        assert chosen.keypoints is not None
        assert chosen.keypoints.tolist() == points[order].tolist()
        assert chosen.sizes is sizes
