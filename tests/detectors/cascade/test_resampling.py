"""Both rules of resizing against torch, OpenCV and a plain loop; totals that run over."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.detectors.cascade.integral import IntegralImages, summed
from bench.detectors.cascade.resampling import RULES, AdaptivePooling, AreaWeighted

SIZES = [(40, 60), (33, 47)]
WINDOWS = [[0, 0, 60, 40], [3, 5, 32, 34], [7, 2, 13, 9], [10, 11, 34, 35], [1, 1, 2, 40], [5, 4, 29, 28]]


def images(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]


def packed(found: Sequence[Tensor]) -> IntegralImages:
    return IntegralImages.of(found, torch.tensor([image.shape[1:] for image in found]))


def by_opencv(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W, 3] float32, each axis by area where it shrinks and linear where it grows: one after the other."""
    for side, axis in zip(size, (0, 1), strict=True):
        shape = (pixels.shape[1], side) if axis == 0 else (side, pixels.shape[0])
        rule = cv2.INTER_AREA if side < pixels.shape[axis] else cv2.INTER_LINEAR
        pixels = cv2.resize(pixels, shape, interpolation=rule)
    return pixels


@pytest.mark.parametrize("size", [(24, 36), (23, 37), (40, 60), (1, 1), (41, 61), (55, 90)])
def test_levels_by_adaptive_pooling(size: tuple[int, int]) -> None:
    (image,) = images((40, 60))
    expected = F.interpolate(image[None].double(), size, mode="area")[0].permute(1, 2, 0).float()
    torch.testing.assert_close(AdaptivePooling().level(summed(image), size), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(24, 36), (23, 37), (40, 60), (12, 13), (55, 90), (39, 77)])
def test_levels_by_area(size: tuple[int, int]) -> None:
    (image,) = images((40, 60))
    expected = by_opencv(image.permute(1, 2, 0).float().numpy(), size)
    found = AreaWeighted().level(summed(image), size)
    torch.testing.assert_close(found, torch.from_numpy(expected), atol=2e-4, rtol=0)


def test_area_by_hand() -> None:
    """Three columns into two: the middle one counts half on each side; two into three: centres at 0, 1/2 and 1."""
    image = torch.tensor([[[0, 60, 90]]], dtype=torch.uint8).expand(3, 1, 3)
    assert AreaWeighted().level(summed(image), (1, 2))[0, :, 0].tolist() == pytest.approx([20, 80])
    grown = AreaWeighted().level(summed(image[:, :, :2]), (1, 3))[0, :, 0].tolist()
    assert grown == pytest.approx([0, 30, 60])
    pooled = AdaptivePooling().level(summed(image), (1, 2))[0, :, 0].tolist()
    assert pooled == pytest.approx([30, 75])  # whole pixels: the middle one counts wholly on both sides


@pytest.mark.parametrize("side", [24, 48])
def test_windows_by_adaptive_pooling(side: int) -> None:
    several = images(*SIZES)
    image = torch.tensor([0, 1, 1, 0, 0, 1])
    windows = torch.tensor(WINDOWS).clamp(max=33)
    found = AdaptivePooling().windows(packed(several), image, windows, side)
    for index, (left, top, right, bottom), values in zip(
        image, torch.tensor(WINDOWS).clamp(max=33), found, strict=True
    ):
        crop = several[int(index)][None, :, top:bottom, left:right].double()
        expected = F.interpolate(crop, (side, side), mode="area")[0].permute(1, 2, 0)
        torch.testing.assert_close(values.double(), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("side", [24, 48])
def test_windows_by_area_reach_into_zeros(side: int) -> None:
    """Inside, at every border, wholly outside, growing, shrinking, both, and of the very size."""
    several = images(*SIZES)
    windows = [*WINDOWS, [-9, -4, 30, 35], [20, 10, 90, 80], [-50, -50, -10, -10], [50, 30, 70, 50], [-3, 0, 20, 25]]
    image = torch.arange(len(windows)) % 2
    found = AreaWeighted().windows(packed(several), image, torch.tensor(windows), side)
    for index, (left, top, right, bottom), values in zip(image.tolist(), windows, found, strict=True):
        canvas = np.zeros((300, 300, 3), np.float32)
        height, width = SIZES[index]
        canvas[100 : 100 + height, 100 : 100 + width] = several[index].permute(1, 2, 0).numpy()
        crop = np.ascontiguousarray(canvas[top + 100 : bottom + 100, left + 100 : right + 100])
        expected = torch.from_numpy(by_opencv(crop, (side, side)))
        torch.testing.assert_close(values, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("rule", RULES)
def test_totals_may_run_over(rule: str) -> None:
    """In an image of more than eight million pixels they do; shifted by any number, they mean the same."""
    (image,) = images((50, 70))
    integrals = packed([image])
    shifted = IntegralImages(integrals.totals + 2**31 - 10_000, integrals.starts, integrals.sizes)
    assert int(shifted.totals.min()) < 0 < int(shifted.totals.max())
    windows, zero = torch.tensor([[1, 2, 41, 42], [5, 5, 20, 20]]), torch.zeros(2, dtype=torch.int64)
    one, other = (RULES[rule].windows(found, zero, windows, 24) for found in (integrals, shifted))
    torch.testing.assert_close(one, other)
    one, other = (RULES[rule].level(found.image(0, 50, 70), (30, 42)) for found in (integrals, shifted))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("rule", RULES)
def test_no_window(rule: str) -> None:
    empty = torch.zeros((0, 4), dtype=torch.int64)
    assert RULES[rule].windows(packed(images((20, 20))), empty[:, 0], empty, 24).shape == (0, 24, 24, 3)


def test_totals_of_a_device_are_those_of_opencv() -> None:
    (image,) = images((5, 7))
    totals = summed(image)
    assert totals[3, 4].tolist() == image[:, :3, :4].long().sum((1, 2)).tolist()
    plain = image.permute(1, 2, 0).cumsum(0, dtype=torch.int32).cumsum(1, dtype=torch.int32)
    assert torch.equal(totals[1:, 1:], plain)
    assert int(totals[0].abs().sum() + totals[:, 0].abs().sum()) == 0
