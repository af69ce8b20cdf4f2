"""Looks by hand: where what is seen in one lies in the image."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.boxes import Nms
from bench.detectors.candidates import Candidates, Prediction
from bench.errors import ConfigError
from bench.evaluation.looks import PLAIN, Look, propose
from bench.evaluation.postprocess import PostProcessor
from data_modules.loading.transforms import KeepSize, ResizeLongSide, Sample
from data_modules.loading.transforms.resize import Stretch

SWAPS = ((1, 0, 2, 4, 3), (1, 0, 2, 3, 5, 4))
AS_IT_IS, MIRROR = Look(), Look(None, True, SWAPS)
Squares = Callable[..., Tensor]
Evaluated = Callable[..., list[Prediction]]


def one(box: list[float], size: tuple[int, int], keypoints: Tensor | None = None) -> Candidates:
    """One candidate of one image."""
    return Candidates(torch.tensor([box]), torch.tensor([[0.5]]), torch.tensor([0]), torch.tensor([size]), keypoints)


def test_a_look_goes_back_to_its_image() -> None:
    """Seen at 80 x 120, the image is 40 x 60: mirrored, x = 10 is 120 - 10 = 110, and 55 in the image."""
    points = torch.tensor([[10.0, 20], [30, 20], [20, 30], [12, 36], [28, 38]])[None]
    found = one([10.0, 20, 30, 40], (80, 120), points)
    plain = AS_IT_IS.to_original(found, torch.tensor([[40, 60]]))
    assert plain.boxes.tolist() == [[5, 10, 15, 20]]
    assert plain.sizes.tolist() == [[40, 60]]
    assert plain.keypoints is not None
    assert plain.keypoints.tolist() == [[[5, 10], [15, 10], [10, 15], [6, 18], [14, 19]]]
    mirrored = MIRROR.to_original(found, torch.tensor([[40, 60]]))
    assert mirrored.boxes.tolist() == [[45, 10, 55, 20]]
    assert mirrored.keypoints is not None
    # What was the right eye of the mirrored face is the left eye.
    assert mirrored.keypoints.tolist() == [[[45, 10], [55, 10], [50, 15], [46, 19], [54, 18]]]


def test_sides_resized_unlike() -> None:
    """80 x 120 of a 40 x 240: twice as high as the original, half as wide."""
    found = one([10.0, 20, 30, 40], (80, 120), torch.tensor([[[10.0, 20], [30, 40]]]))
    back = AS_IT_IS.to_original(found, torch.tensor([[40, 240]]))
    assert back.boxes.tolist() == [[20, 10, 60, 20]]
    assert back.keypoints is not None
    assert back.keypoints.tolist() == [[[20, 10], [60, 20]]]


@pytest.mark.parametrize("look", [AS_IT_IS, MIRROR])
def test_each_candidate_goes_back_by_its_own_image(look: Look) -> None:
    """Three images, the second without candidates; widths of 120, 50 and 20 seen, halved, and as they are."""
    boxes = torch.tensor([[2.0, 4, 6, 8], [10, 10, 20, 30], [2, 4, 6, 8]])
    found = Candidates(boxes, torch.ones(3, 1), torch.tensor([2, 0, 0]), torch.tensor([[80, 120], [40, 50], [10, 20]]))
    back = look.to_original(found, torch.tensor([[40, 60], [40, 50], [10, 20]]))
    wanted = [[2, 4, 6, 8], [5, 5, 10, 15], [1, 2, 3, 4]]
    mirrored = [[14, 4, 18, 8], [50, 5, 55, 15], [57, 2, 59, 4]]
    assert back.boxes.tolist() == (mirrored if look.flip else wanted)
    assert back.image.tolist() == [2, 0, 0]
    assert back.sizes.tolist() == [[40, 60], [40, 50], [10, 20]]


def test_no_candidate_at_all() -> None:
    none = Candidates(torch.zeros(0, 4), torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64), torch.tensor([[8, 8]]))
    for keypoints in (None, torch.zeros(0, 5, 2)):
        back = MIRROR.to_original(replace(none, keypoints=keypoints), torch.tensor([[4, 4]]))
        assert back.boxes.shape == (0, 4)
        assert back.sizes.tolist() == [[4, 4]]


def test_every_look_finds_the_same_place(finder: Any, with_square: Squares) -> None:
    looks = [AS_IT_IS, MIRROR, Look(ResizeLongSide(120)), Look(ResizeLongSide(120), True, SWAPS)]
    images = [with_square(40, 60, 10, 5, 20, 17), with_square(40, 60, 31, 20, 50, 38)]
    found = propose(finder, images, torch.tensor([[40, 60]] * 2), None, looks)
    assert found.image.tolist() == [0, 1] * 4
    assert found.boxes[found.image == 0].tolist() == [[10, 5, 20, 17]] * 4
    assert found.boxes[found.image == 1].tolist() == [[31, 20, 50, 38]] * 4
    assert found.keypoints is not None
    assert found.keypoints[found.image == 0].tolist() == [[[10, 5], [20, 5], [15, 11], [10, 17], [20, 17]]] * 4
    assert found.scores.shape == (8, 1)
    (first, _) = PostProcessor(Nms(0.5))(found)
    assert first["boxes"].tolist() == [[10, 5, 20, 17]]  # one suppression over all looks


@pytest.mark.parametrize("looks", [PLAIN, (Look(ResizeLongSide(120)), MIRROR)])
@pytest.mark.parametrize("rule", [KeepSize(), ResizeLongSide(120), ResizeLongSide(40), Stretch(40)])
def test_the_original_is_what_was_there_before_the_resize(
    rule: Any, looks: tuple[Look, ...], finder: Any, with_square: Squares, evaluated: Evaluated
) -> None:
    """The data module resizes, a look may resize again, sides unlike (Stretch) or alike: one place in the original."""
    image = with_square(40, 80, 20, 8, 40, 24)
    (found,) = evaluated(finder, [image], rule, None, looks)
    assert found["boxes"].tolist() == [[20, 8, 40, 24]]
    assert found["keypoints"][0, :, :2].tolist() == [[20, 8], [40, 8], [30, 16], [20, 24], [40, 24]]


def test_what_leaves_the_image_is_cut_at_the_original() -> None:
    found = one([-10.0, -10, 70, 130], (100, 60))
    (clipped,) = PostProcessor(Nms(0.5))(MIRROR.to_original(found, torch.tensor([[50, 30]])))
    assert clipped["boxes"].tolist() == [[0, 0, 30, 50]]


def test_keypoints_are_swapped_by_their_number() -> None:
    six = torch.arange(12.0).view(1, 6, 2)
    found = one([0.0, 0, 0, 0], (20, 20), six)
    moved = MIRROR.to_original(found, found.sizes)
    assert moved.keypoints is not None
    assert moved.keypoints[0, :, 1].tolist() == [3, 1, 5, 7, 11, 9]
    four = replace(found, keypoints=six[:, :4])
    with pytest.raises(ConfigError, match=r"order of 4 keypoints among protocol\.keypoint_swaps, found \[\[1, 0, 2, 4"):
        MIRROR.to_original(four, found.sizes)
    assert AS_IT_IS.to_original(four, found.sizes).keypoints is not None  # only mirrors need to know
    none = replace(found, keypoints=six[:, :0])
    moved = MIRROR.to_original(none, found.sizes)
    assert moved.keypoints is not None
    assert moved.keypoints.shape == (1, 0, 2)


def test_plain_and_mirrored_share_one_resize(finder: Any, with_square: Squares) -> None:
    calls: list[int] = []

    @dataclass(frozen=True)
    class Counted(ResizeLongSide):
        def __call__(self, sample: Sample) -> Sample:
            calls.append(self.size)
            return super().__call__(sample)

    images = [with_square(40, 60, 10, 5, 20, 17)] * 2
    looks = [Look(Counted(size), bool(i % 2), SWAPS) for i, size in enumerate((30, 30, 60, 60))]
    propose(finder, images, torch.tensor([[40, 60]] * 2), None, looks)
    assert calls == [30, 30, 60, 60]  # two images, twice
    assert finder.shown == [[(20, 30)] * 2] * 2 + [[(40, 60)] * 2] * 2


def test_a_plain_look_shows_what_was_loaded(finder: Any, with_square: Squares) -> None:
    """No copy by way of numpy: the very tensor, which may lie on a device."""
    seen: list[Any] = []

    class Watching:
        def raw(self, images: Any, pad_to: Any = None) -> Candidates:
            seen.append((images, pad_to))
            return finder.raw(images)

    images = torch.stack([with_square(40, 60, 10, 5, 20, 17)] * 2)
    propose(Watching(), images, torch.tensor([[20, 30]] * 2), (64, 64))
    assert seen[0][0] is images
    assert seen[0][1] == (64, 64)
