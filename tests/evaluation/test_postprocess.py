"""Post-processing against plain loops, and rule by rule."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.ops import nms

from bench.boxes import Blending, Nms, SoftNms
from bench.detectors.candidates import Candidates
from bench.evaluation.postprocess import PostProcessor


def candidates(
    boxes: Tensor, scores: Tensor, keypoints: Tensor | None = None, size: tuple[int, int] = (100, 100)
) -> Candidates:
    """boxes [B, N, 4], scores [B, N, C], all images of one size."""
    return Candidates.dense(boxes, scores, torch.tensor([size] * len(boxes)), keypoints)


def spread(count: int) -> Tensor:
    """Boxes [1, count, 4] that do not touch."""
    left = torch.arange(count) * 10.0
    return torch.stack([left, torch.zeros(count), left + 5, torch.full((count,), 5.0)], dim=-1)[None]


def reference(
    found: Candidates, threshold: float, iou: float, cap: int | None, clip: bool, top: int | None
) -> list[dict[str, list[Any]]]:
    results = []
    for image, (height, width) in enumerate(found.sizes.tolist()):
        entries = []
        for row in (found.image == image).nonzero()[:, 0].tolist():
            for label, score in enumerate(found.scores[row].tolist()):
                if score > threshold:
                    x1, y1, x2, y2 = found.boxes[row].tolist()
                    if clip:
                        x1, x2 = (min(max(x, 0.0), width) for x in (x1, x2))
                        y1, y2 = (min(max(y, 0.0), height) for y in (y1, y2))
                    entries.append((score, label, [x1, y1, x2, y2], row))
        entries.sort(key=lambda entry: -entry[0])
        entries = entries[:top]
        kept = []
        for label in range(found.scores.shape[1]):
            own = [entry for entry in entries if entry[1] == label]
            if own:
                index = nms(torch.tensor([e[2] for e in own]), torch.tensor([e[0] for e in own]), iou)
                kept += [own[i] for i in index.tolist()]
        kept = sorted(kept, key=lambda entry: -entry[0])[:cap]
        columns = {"scores": 0, "labels": 1, "boxes": 2, "rows": 3}
        results.append({name: [entry[column] for entry in kept] for name, column in columns.items()})
    return results


def ragged(classes: int) -> Candidates:
    """60, 0, 25 and 60 candidates of four images of different sizes, with keypoints, in any order."""
    generator = torch.Generator().manual_seed(classes)
    image = torch.tensor([0] * 60 + [2] * 25 + [3] * 60)[torch.randperm(145, generator=generator)]
    corner = torch.rand(145, 2, generator=generator) * 120 - 10
    boxes = torch.cat([corner, corner + 10 + torch.rand(145, 2, generator=generator) * 40], dim=-1)
    sizes = torch.tensor([[100, 80], [50, 50], [64, 128], [90, 90]])
    scores, points = (torch.rand(145, *shape, generator=generator) for shape in ((classes,), (5, 2)))
    return Candidates(boxes, scores, image, sizes, points * 100)


@pytest.mark.parametrize("cap", [None, 7])
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("top", [None, 40])
@pytest.mark.parametrize("classes", [1, 3])
def test_against_plain_loops(cap: int | None, clip: bool, top: int | None, classes: int) -> None:
    found = ragged(classes)
    processor = PostProcessor(Nms(0.3), 0.2, cap, top, clip)
    wanted = reference(found, 0.2, 0.3, cap, clip, top)
    assert [len(want["scores"]) > 5 for want in wanted] == [True, False, True, True]
    for got, want in zip(processor(found), wanted, strict=True):
        assert got["scores"].tolist() == pytest.approx(want["scores"])
        assert got["labels"].tolist() == want["labels"]
        torch.testing.assert_close(got["boxes"], torch.tensor(want["boxes"]).view(-1, 4))
        assert found.keypoints is not None
        torch.testing.assert_close(got["keypoints"][..., :2], found.keypoints[want["rows"]])
        assert bool((got["keypoints"][..., 2] == 1).all())


@pytest.mark.parametrize("suppression", [Nms(0.5), SoftNms(), Blending()])
@pytest.mark.parametrize("top", [None, 10])
def test_an_image_alone_comes_to_the_same(suppression: Any, top: int | None) -> None:
    found = ragged(2)
    processor = PostProcessor(suppression, 0.1, pre_top_k=top)
    for number, together in enumerate(processor(found)):
        own = found.select(found.image == number)
        alone = replace(own, image=torch.zeros_like(own.image), sizes=found.sizes[number : number + 1])
        (single,) = processor(alone)
        for key, value in single.items():
            torch.testing.assert_close(value, together[key])


def test_the_threshold_is_strict() -> None:
    scores = torch.tensor([0.02, 0.0200001, 0.019, 0.5]).view(1, 4, 1)
    found = PostProcessor(Nms(0.5), score_threshold=0.02)(candidates(spread(4), scores))[0]
    assert found["scores"].tolist() == pytest.approx([0.5, 0.0200001])


def test_clipping_knows_width_from_height_and_comes_before_the_suppression() -> None:
    boxes = torch.tensor([[[-5.0, -6, 50, 60], [15, 25, 40, 70]]])
    scores = torch.tensor([0.9, 0.8]).view(1, 2, 1)
    image = candidates(boxes, scores, size=(30, 20))
    clipped = PostProcessor(Nms(0.5))(image)[0]
    assert clipped["boxes"].tolist() == [[0, 0, 20, 30], [15, 25, 20, 30]]
    assert PostProcessor(Nms(0.5), clip=False)(image)[0]["boxes"].tolist() == boxes[0].tolist()
    # apart on paper, one after clipping: what lies outside the image is cut off both
    boxes = torch.tensor([[[0.0, 0, 20, 30], [0, 0, 20, 90]]])
    image = candidates(boxes, scores, size=(30, 20))
    assert len(PostProcessor(Nms(0.5))(image)[0]["scores"]) == 1
    assert len(PostProcessor(Nms(0.5), clip=False)(image)[0]["scores"]) == 2


def test_top_k_is_per_image_and_comes_before_the_suppression() -> None:
    boxes = torch.cat([spread(4), spread(4)])
    boxes[0, 1] = boxes[0, 0]  # a duplicate: takes a place, then falls
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]])[..., None]
    first, second = PostProcessor(Nms(0.5), pre_top_k=3)(candidates(boxes, scores))
    assert first["scores"].tolist() == pytest.approx([0.9, 0.7])
    assert second["scores"].tolist() == pytest.approx([0.4, 0.3, 0.2])


def test_the_cap_is_per_image_over_all_classes() -> None:
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.85], [0.1, 0.7]])[None]
    found = PostProcessor(Nms(0.5), score_threshold=0.3, max_detections=3)(candidates(spread(3), scores))[0]
    assert found["scores"].tolist() == pytest.approx([0.9, 0.85, 0.8])
    assert found["labels"].tolist() == [0, 1, 0]


def test_classes_and_images_do_not_suppress_each_other() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10]]).expand(2, 2, 4)
    scores = torch.tensor([[[0.9, 0.5], [0.8, 0.6]], [[0.7, 0.1], [0.2, 0.1]]])
    first, second = PostProcessor(Nms(0.5), score_threshold=0.15)(candidates(boxes, scores))
    assert first["scores"].tolist() == pytest.approx([0.9, 0.6])
    assert first["labels"].tolist() == [0, 1]
    assert second["scores"].tolist() == pytest.approx([0.7])


@pytest.mark.parametrize("suppression", [Nms(0.5), SoftNms(), Blending()])
@pytest.mark.parametrize("keypoints", [0, 5])
def test_nothing_found(suppression: Any, keypoints: int) -> None:
    points = torch.zeros(2, 4, keypoints, 2) if keypoints else None
    scores = torch.full((2, 4, 1), 0.01)
    scores[1, 2] = 0.5
    found = candidates(spread(4).expand(2, 4, 4), scores, points)
    empty, single = PostProcessor(suppression)(found)
    assert {name: tuple(value.shape) for name, value in empty.items()} == {
        "boxes": (0, 4),
        "scores": (0,),
        "labels": (0,),
        "keypoints": (0, keypoints, 3),
    }
    assert empty["labels"].dtype == torch.int64
    assert single["scores"].tolist() == [0.5]
    neither = PostProcessor(suppression, pre_top_k=3, min_height=1)(found.select(found.image > 1))  # no row at all
    for nothing in neither:
        assert {name: value.shape for name, value in nothing.items()} == {n: v.shape for n, v in empty.items()}
    assert len(neither) == 2


@pytest.mark.parametrize("suppression", [Nms(0.5), SoftNms(), Blending()])
def test_shuffled_candidates(suppression: Any) -> None:
    """Of one image among themselves, and images among each other."""
    found = ragged(2)
    order = torch.randperm(len(found.boxes), generator=torch.Generator().manual_seed(1))
    processor = PostProcessor(suppression, score_threshold=0.1)
    one, other = processor(found), processor(found.select(order))
    assert sum(len(prediction["scores"]) for prediction in one) > 50
    for a, b in zip(one, other, strict=True):
        for key in a:
            torch.testing.assert_close(a[key], b[key], atol=1e-4, rtol=1e-5)


def test_soft_nms_lowers_scores_and_sorts_again() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]]])
    scores = torch.tensor([0.9, 0.8, 0.5]).view(1, 3, 1)
    found = PostProcessor(SoftNms(sigma=0.5))(candidates(boxes, scores))[0]
    # the second meets the first at IoU 1: 0.8 exp(-2) = 0.108
    assert found["scores"].tolist() == pytest.approx([0.9, 0.5, 0.8 * 0.1353353], rel=1e-5)


def test_low_boxes_fall_before_they_suppress() -> None:
    """Heights 10 and 8; the lower box scores more and covers the other."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 8]]])
    scores = torch.tensor([0.8, 0.9]).view(1, 2, 1)
    image = candidates(boxes, scores)
    assert PostProcessor(Nms(0.5), min_height=9.0)(image)[0]["scores"].tolist() == pytest.approx([0.8])
    assert PostProcessor(Nms(0.5), min_height=8.0)(image)[0]["scores"].tolist() == pytest.approx([0.9])  # not strict
    outside = candidates(boxes, scores, size=(7, 100))  # clipped first
    assert not len(PostProcessor(Nms(0.5), min_height=9.0)(outside)[0]["scores"])
    assert len(PostProcessor(Nms(0.5), clip=False, min_height=9.0)(outside)[0]["scores"]) == 1


def test_low_boxes_of_each_image() -> None:
    """Heights 5 and 4, 20 and 16, 10 and 8, the lower scoring more."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8]]) * torch.tensor([0.5, 2.0, 1.0]).view(3, 1, 1)
    scores = torch.tensor([0.8, 0.9]).view(1, 2, 1).expand(3, 2, 1)
    found = PostProcessor(Nms(0.5), min_height=9.0)(candidates(boxes, scores))
    assert [x["scores"].tolist() for x in found] == [[], pytest.approx([0.9]), pytest.approx([0.8])]


def test_half_precision_comes_out_as_float() -> None:
    found = PostProcessor(Nms(0.5))(candidates(spread(2).half(), torch.full((1, 2, 1), 0.5).half()))[0]
    assert found["boxes"].dtype == found["scores"].dtype == torch.float32
