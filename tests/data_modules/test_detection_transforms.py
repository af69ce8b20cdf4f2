"""Scale jitter, SSD crops, expansion, rotation, letterbox, stretch and pipelines: by hand."""

import albumentations
import hydra
import numpy as np
import pytest

from data_modules.loading.transforms import (
    Expand,
    HorizontalFlip,
    Letterbox,
    Photometric,
    Pipeline,
    Pixels,
    Rotate,
    Sample,
    ScaleJitter,
    SSDCrop,
    Stretch,
)


class Fixed:
    """A generator whose draws are written down: `random` and `uniform` take from `values`, `integers` from `whole`."""

    def __init__(self, values: list[float], whole: list[int] | None = None) -> None:
        self.values = iter(values)
        self.whole = iter(whole or [])

    def random(self) -> float:
        return next(self.values)

    def uniform(self, low: float, high: float) -> float:
        value = next(self.values)
        assert low <= value <= high
        return value

    def integers(self, bound: int) -> int:
        value = next(self.whole)
        assert 0 <= value < bound
        return value


def sample_of(
    height: int, width: int, boxes: list, ignore: list[bool] | None = None, points: list | None = None
) -> Sample:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    table = np.array(boxes, np.float32).reshape(-1, 4)
    keypoints = np.array(points if points is not None else np.zeros((len(table), 5, 3)), np.float32)
    return Sample(image, table, np.arange(len(table)), keypoints, np.array(ignore or [False] * len(table), bool))


def test_scale_jitter_up() -> None:
    """20 x 40 at u = 2 and size 20: factor 2 * 20 / 40 = 1, no resize; crop at left = int(20 * 0.25) = 5."""
    five = [[4, 1, 1], [5, 1, 1], [25, 20, 1], [26, 1, 1], [10, 10, 0]]
    sample = sample_of(20, 40, [[0, 0, 10, 10], [20, 5, 30, 15], [30, 0, 35, 5]], points=[five, five, five])
    out = ScaleJitter(size=20)(sample, Fixed([2.0, 0.25, 0.9]))
    np.testing.assert_array_equal(out.image, sample.image[:, 5:25])
    assert out.boxes.tolist() == [[0, 0, 5, 10], [15, 5, 20, 15]]  # cut at both sides; the third is gone
    assert out.labels.tolist() == [0, 1]
    assert out.keypoints[0, :, 2].tolist() == [0, 1, 1, 0, 0]
    assert out.keypoints[0, 2, :2].tolist() == [20, 20]


def test_scale_jitter_down() -> None:
    """20 x 40 at u = 0.5 and size 40: factor 0.5, so 10 x 20 in the top left corner of the mean colour."""
    out = ScaleJitter(size=40)(sample_of(20, 40, [[4, 2, 8, 6]], ignore=[True]), Fixed([0.5, 0.7, 0.7]))
    assert out.image.shape == (40, 40, 3)
    assert (out.image[10:] == (124, 116, 104)).all()
    assert (out.image[:, 20:] == (124, 116, 104)).all()
    assert out.boxes.tolist() == [[2, 1, 4, 3]]
    assert out.ignore.tolist() == [True]


def test_scale_jitter_keeps_slivers() -> None:
    """No minimum of visibility: the centre may be outside."""
    out = ScaleJitter(size=20)(sample_of(20, 40, [[0, 0, 6, 10]]), Fixed([2.0, 0.25, 0.0]))
    assert out.boxes.tolist() == [[0, 0, 1, 10]]


def test_ssd_crop_by_hand() -> None:
    """Patch (10, 20)-(60, 70) of 100 x 100; the second box has its centre at x = 60, on the border: outside."""
    sample = sample_of(100, 100, [[20, 30, 70, 80], [50, 30, 70, 40]])
    out = SSDCrop()(
        sample, Fixed([0.5, 0.5], [2, 10, 20])
    )  # choice 2: at least 0.1; 40 x 40 / (2 * 2500 - 1600) = 0.47
    np.testing.assert_array_equal(out.image, sample.image[20:70, 10:60])
    assert out.labels.tolist() == [0]
    assert out.boxes.tolist() == [[10, 10, 50, 50]]


def test_ssd_crop_minimum_overlap() -> None:
    """The same patch does not reach 0.5, nor does any other try: the image stays whole."""
    sample = sample_of(100, 100, [[20, 30, 70, 80]])
    rng = Fixed([0.5, 0.5] * 2, [4, 10, 20, 10, 20])
    assert SSDCrop(tries=2)(sample, rng) is sample
    assert SSDCrop()(sample, Fixed([], [0])) is sample  # choice 0: the whole image


def test_ssd_crop_ratio() -> None:
    """0.9 x 0.4 is wider than 2 : 1; the try after it counts."""
    sample = sample_of(100, 100, [[20, 30, 70, 80]])
    out = SSDCrop()(sample, Fixed([0.9, 0.4, 0.5, 0.5], [1, 0, 0, 10, 20]))
    assert out.image.shape == (50, 50, 3)


def test_ssd_crop_asks_for_an_object_that_counts() -> None:
    sample = sample_of(100, 100, [[20, 30, 70, 80]], ignore=[True])
    assert all(SSDCrop()(sample, np.random.default_rng(seed)) is sample for seed in range(20))


def test_ssd_choices_are_equally_likely() -> None:
    sample = sample_of(60, 60, [[0, 0, 60, 60]])
    whole = sum(SSDCrop(overlaps=(0.0,))(sample, np.random.default_rng(seed)) is sample for seed in range(600))
    assert 160 < whole < 240  # a third: standard deviation 12


def test_expand_by_hand() -> None:
    sample = sample_of(10, 20, [[1, 2, 5, 8]], points=[[[1, 2, 1]] * 5])
    out = Expand(p=0.5)(sample, Fixed([0.4, 1.55], [11, 3]))
    assert out.image.shape == (15, 31, 3)
    np.testing.assert_array_equal(out.image[3:13, 11:31], sample.image)
    assert (out.image[:3] == (124, 116, 104)).all()
    assert out.boxes.tolist() == [[12, 5, 16, 11]]
    assert out.keypoints[0, 0].tolist() == [12, 5, 1]
    assert Expand(p=0.5)(sample, Fixed([0.5])) is sample


def test_rotate_a_quarter() -> None:
    """Counterclockwise about (20, 20): (x, y) -> (y, 40 - x). The corners of a box fit its ellipse again."""
    sample = sample_of(
        40, 40, [[4, 10, 14, 30]], points=[[[4, 10, 1], [0, 0, 1], [40, 40, 1], [20, 20, 0], [9, 20, 1]]]
    )
    out = Rotate().turned(sample, 90.0)
    np.testing.assert_array_equal(out.image, np.rot90(sample.image))
    np.testing.assert_allclose(out.boxes, [[10, 26, 30, 36]], atol=1e-4)
    expected = [[10, 36, 1], [0, 40, 1], [40, 0, 1], [20, 20, 0], [20, 31, 1]]
    np.testing.assert_allclose(out.keypoints[0, [0, 3, 4]], np.array(expected)[[0, 3, 4]], atol=1e-4)


def test_rotate_45() -> None:
    """A circle of radius 10 stays one; a centre that leaves takes its box along."""
    sample = sample_of(80, 80, [[50, 30, 70, 50], [0, 0, 8, 8]], points=[[[79, 1, 1]] + [[40, 40, 1]] * 4] * 2)
    out = Rotate().turned(sample, 45.0)
    x, y = 40 + 20 * 0.5**0.5, 40 - 20 * 0.5**0.5
    np.testing.assert_allclose(out.boxes, [[x - 10, y - 10, x + 10, y + 10]], atol=1e-4)
    assert out.keypoints[0, :, 2].tolist() == [0, 1, 1, 1, 1]  # the corner of the image leaves it
    assert (out.image[0, 0] == 128).all()


def test_rotate_draws() -> None:
    sample = sample_of(20, 20, [[5, 5, 15, 15]])
    assert Rotate(p=0.3)(sample, Fixed([0.3])) is sample
    out = Rotate(degrees=10)(sample, Fixed([0.0, -7.0]))
    np.testing.assert_array_equal(out.image, Rotate().turned(sample, -7.0).image)


@pytest.mark.parametrize(("center", "top"), [(False, 0), (True, 16)])
def test_letterbox(center: bool, top: int) -> None:
    """128 x 256 -> 32 x 64 of 64 x 64."""
    out = Letterbox(64, fill=7, center=center)(sample_of(128, 256, [[40, 20, 80, 60]]))
    assert out.image.shape == (64, 64, 3)
    beside = np.ones(64, bool)
    beside[top : top + 32] = False
    assert (out.image[beside] == 7).all()
    assert out.boxes.tolist() == [[10, 5 + top, 20, 15 + top]]


def test_stretch() -> None:
    out = Stretch(64)(sample_of(128, 256, [[40, 20, 80, 60]]))
    assert out.image.shape == (64, 64, 3)
    assert out.boxes.tolist() == [[10, 10, 20, 30]]


def test_pipeline_from_a_config() -> None:
    names = [
        {"_target_": f"data_modules.loading.transforms.{name}"} for name in ("Expand", "SSDCrop", "HorizontalFlip")
    ]
    last = [
        {"_target_": "data_modules.loading.transforms.Stretch", "size": 48},
        {"_target_": "data_modules.loading.transforms.Photometric"},
    ]
    pipeline = hydra.utils.instantiate({"_target_": "data_modules.loading.transforms.Pipeline", "steps": names + last})
    sample = sample_of(60, 80, [[10, 10, 50, 50]])
    outs = [pipeline(sample, np.random.default_rng(seed)) for seed in range(10)]
    assert all(out.image.shape == (48, 48, 3) and len(out.boxes) == 1 for out in outs)
    np.testing.assert_array_equal(pipeline(sample, np.random.default_rng(4)).image, outs[4].image)
    assert len({out.image.tobytes() for out in outs}) == 10


def test_pipeline_shares_the_generator() -> None:
    sample = sample_of(20, 20, [[5, 5, 9, 9]])
    rng = np.random.default_rng(0)
    expected = Photometric()(HorizontalFlip()(sample, rng), rng)
    out = Pipeline([HorizontalFlip(), Photometric()])(sample, np.random.default_rng(0))
    np.testing.assert_array_equal(out.image, expected.image)


def test_albumentations_as_a_step() -> None:
    sample = sample_of(40, 40, [[5, 5, 9, 9]])
    step = Pixels(albumentations.GaussNoise(p=0.5))
    outs = [step(sample, np.random.default_rng(seed)).image for seed in range(40)]
    changed = sum(not np.array_equal(out, sample.image) for out in outs)
    assert 8 < changed < 32
    for seed in range(10):
        np.testing.assert_array_equal(step(sample, np.random.default_rng(seed)).image, outs[seed])
    with pytest.raises(ValueError, match="found HorizontalFlip"):
        Pixels(albumentations.HorizontalFlip())
