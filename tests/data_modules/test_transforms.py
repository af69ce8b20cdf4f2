"""Crop, flip, resize: by hand and by rule."""

import numpy as np
import pytest

from data_modules.loading.transforms import (
    SQUARE_CROP_SCALES,
    SQUARE_CROP_SCALES_REDISTRIBUTED,
    HorizontalFlip,
    KeepSize,
    ResizeLongSide,
    ResizeShortLong,
    Sample,
    SquareCrop,
    SquareCropAugmentation,
)
from data_modules.loading.transforms.resize import resize


def sample_of(height: int, width: int, boxes: list[list[float]], ignore: list[bool] | None = None) -> Sample:
    """Noise; the five keypoints of a face lie on its top left corner, its centre and so on, all visible."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    table = np.array(boxes, np.float32).reshape(-1, 4)
    spread = np.linspace(0, 1, 5, dtype=np.float32)[None, :, None]
    points = table[:, None, :2] * (1 - spread) + table[:, None, 2:] * spread  # [N, 5, 2]
    keypoints = np.concatenate([points, np.ones((len(table), 5, 1), np.float32)], axis=-1)
    flags = np.array(ignore or [False] * len(table), bool)
    return Sample(image, table, np.arange(len(table)), keypoints, flags)


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_scale_sets() -> None:
    assert SQUARE_CROP_SCALES == (0.3, 0.45, 0.6, 0.8, 1.0)
    assert SQUARE_CROP_SCALES_REDISTRIBUTED == (0.3, 0.45, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)


@pytest.mark.parametrize("seed", range(20))
def test_crop_inside_the_image(seed: int) -> None:
    sample = sample_of(100, 150, [[10, 10, 30, 30], [90, 60, 110, 80]])
    crop = SquareCrop([0.6])
    left, top, side = crop.place(sample, draws(seed))
    out = crop(sample, draws(seed))
    assert side == 60
    assert 0 <= left < 90
    assert 0 <= top < 40
    np.testing.assert_array_equal(out.image, sample.image[top : top + 60, left : left + 60])
    inside = [left < x < left + 60 and top < y < top + 60 for x, y in ((20, 20), (100, 70))]
    assert any(inside)
    assert out.labels.tolist() == [label for label, kept in enumerate(inside) if kept]
    shift = np.array([left, top, left, top])
    np.testing.assert_array_equal(out.boxes, sample.boxes[out.labels] - shift)
    np.testing.assert_array_equal(out.keypoints[..., :2], sample.keypoints[out.labels][..., :2] - shift[:2])


def test_offsets_reach_every_place_but_the_last() -> None:
    """The upper bound is exclusive: 6 - 3 = 3 leaves 0, 1, 2; at scale 2, 4 - 8 = -4 leaves -4 .. -1."""
    inside, outside = SquareCrop([0.75]), SquareCrop([2.0])
    sample = sample_of(4, 6, [[0, 0, 6, 4]])
    places = [inside.place(sample, draws(seed)) for seed in range(300)]
    assert {left for left, _, _ in places} == {1, 2}  # not 0: the centre x = 3 would lie on the border of 0..3
    assert {top for _, top, _ in places} == {0}
    places = [outside.place(sample, draws(seed)) for seed in range(300)]
    assert {left for left, _, _ in places} == {-2, -1}
    assert {top for _, top, _ in places} == {-4, -3, -2, -1}


def test_crop_as_large_as_the_image() -> None:
    sample = sample_of(80, 80, [[10, 10, 20, 20]])
    assert SquareCrop([1.0]).place(sample, draws()) == (0, 0, 80)
    np.testing.assert_array_equal(SquareCrop([1.0])(sample, draws()).image, sample.image)


@pytest.mark.parametrize("seed", range(5))
def test_crop_twice_as_large_pads_with_128(seed: int) -> None:
    sample = sample_of(40, 60, [[10, 10, 20, 20]])
    crop = SquareCrop([2.0])
    left, top, side = crop.place(sample, draws(seed))
    out = crop(sample, draws(seed))
    assert side == 80
    assert -20 <= left < 0
    assert -40 <= top < 0
    expected = np.full((80, 80, 3), 128, np.uint8)
    expected[-top : -top + 40, -left : -left + 60] = sample.image
    np.testing.assert_array_equal(out.image, expected)
    assert out.boxes.tolist() == [[10 - left, 10 - top, 20 - left, 20 - top]]


def test_scale_draws_are_uniform_and_seeded() -> None:
    sample = sample_of(100, 100, [[40, 40, 60, 60]])
    crop = SquareCrop(SQUARE_CROP_SCALES_REDISTRIBUTED)
    sides = [crop.place(sample, draws(seed))[2] for seed in range(600)]
    assert sides == [crop.place(sample, draws(seed))[2] for seed in range(600)]
    values, counts = np.unique(sides, return_counts=True)
    assert values.tolist() == [30, 45, 60, 80, 100, 120, 140, 160, 180, 200]
    assert counts.min() > 35  # 60 expected, standard deviation 7


def test_a_seeded_crop_stays_what_it_was() -> None:
    """Records of one version compare with those of the next only if draws keep their order."""
    sample = sample_of(90, 120, [[40, 30, 60, 60]])
    rng = draws(3)
    scale = SQUARE_CROP_SCALES_REDISTRIBUTED[rng.integers(10)]
    side = int(scale * 90)
    while True:
        places = [0 if room == 0 else int(rng.integers(min(room, 0), max(room, 0))) for room in (120 - side, 90 - side)]
        if 0 < 50 - places[0] < side and 0 < 45 - places[1] < side:
            break
    assert SquareCrop(SQUARE_CROP_SCALES_REDISTRIBUTED).place(sample, draws(3)) == (*places, side)


def test_boxes_are_clipped_on_request_only() -> None:
    sample = sample_of(80, 80, [[-10, 20, 50, 90]])
    assert SquareCrop([1.0])(sample, draws()).boxes.tolist() == [[-10, 20, 50, 90]]
    assert SquareCrop([1.0], clip_boxes=True)(sample, draws()).boxes.tolist() == [[0, 20, 50, 80]]


def test_centre_on_the_border_is_outside() -> None:
    sample = sample_of(80, 80, [[30, 30, 50, 50], [-10, 20, 10, 40]])  # the second centre has x = 0
    assert SquareCrop([1.0])(sample, draws()).labels.tolist() == [0]


def test_ignored_faces_are_kept_but_not_aimed_at() -> None:
    sample = sample_of(100, 300, [[280, 40, 290, 50], [10, 40, 20, 50]], ignore=[True, False])
    kept = [SquareCrop([0.5])(sample, draws(seed)).labels.tolist() for seed in range(30)]
    assert kept == [[1]] * 30
    both = SquareCrop([1.0])(sample_of(80, 80, [[10, 10, 20, 20], [40, 40, 50, 50]], [True, False]), draws())
    assert both.ignore.tolist() == [True, False]


@pytest.mark.parametrize("scales", [SQUARE_CROP_SCALES, SQUARE_CROP_SCALES_REDISTRIBUTED])
@pytest.mark.parametrize(
    ("boxes", "ignore"),
    [
        ([], []),
        ([[10, 10, 20, 20]], [True]),
        ([[500, 500, 510, 510]], [False]),  # outside the image
        ([[10, 399, 20, 400]], [False]),  # y = 399.5: smaller crops end at 399, and those of scale <= 2 are all smaller
    ],
)
def test_the_search_always_ends(scales: tuple[float, ...], boxes: list[list[float]], ignore: list[bool]) -> None:
    out = SquareCrop(scales, tries=10)(sample_of(400, 60, boxes, ignore), draws(1))
    assert out.image.shape[0] == out.image.shape[1] >= int(0.3 * 60)


def test_small_scales_grow_until_a_face_fits() -> None:
    """The centre x = 99.5 lies beyond every square smaller than the image, so 0.3 must grow past 1."""
    sample = sample_of(100, 100, [[99, 40, 100, 60]])
    left, _, side = SquareCrop([0.3], tries=5).place(sample, draws())
    assert side > 100
    assert left + side >= 100


def test_no_scales() -> None:
    with pytest.raises(ValueError, match="crop scales"):
        SquareCrop([])


def test_flip_by_hand() -> None:
    sample = sample_of(4, 10, [[1, 0, 4, 2]])
    flipped = HorizontalFlip(p=1.0)(sample, draws())
    assert flipped.boxes.tolist() == [[6, 0, 9, 2]]
    np.testing.assert_array_equal(flipped.image, sample.image[:, ::-1])
    before, after = sample.keypoints[0], flipped.keypoints[0]
    for place, source in enumerate([1, 0, 2, 4, 3]):
        assert after[place].tolist() == [10 - before[source, 0], before[source, 1], 1]


def test_flip_twice_is_identity() -> None:
    sample = sample_of(31, 47, [[1, 2, 20, 30], [5, 6, 7, 8]])
    flip = HorizontalFlip(p=1.0)
    twice = flip(flip(sample, draws()), draws())
    for name in ("image", "boxes", "labels", "ignore"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(sample, name))
    np.testing.assert_allclose(twice.keypoints, sample.keypoints, rtol=0, atol=1e-5)  # 47 - x rounds in float32


def test_flip_probability() -> None:
    sample = sample_of(4, 6, [[0, 0, 2, 2]])
    flipped = sum(HorizontalFlip()(sample, draws(seed)) is not sample for seed in range(400))
    assert 160 < flipped < 240
    assert HorizontalFlip(p=0.0)(sample, draws()) is sample


def test_resize_moves_boxes_by_the_true_ratio() -> None:
    out = resize(sample_of(20, 30, [[3, 4, 9, 8]]), 10, 60)
    assert out.image.shape == (10, 60, 3)
    assert out.boxes.tolist() == [[6, 2, 18, 4]]
    assert out.keypoints[0, 4].tolist() == [18, 4, 1]


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        (ResizeLongSide(640), (819, 1024), (512, 640)),
        (ResizeLongSide(640), (300, 200), (640, 427)),  # 426.67: rounded half up, and upscaled
        (ResizeLongSide(64), (1, 640), (1, 64)),  # 0.1: never less than a pixel
        (ResizeShortLong(1100, 1650), (768, 1024), (1100, 1467)),
        (ResizeShortLong(1100, 1650), (400, 1024), (645, 1650)),
        (KeepSize(), (33, 77), (33, 77)),
    ],
)
def test_eval_sizes(rule, before: tuple[int, int], after: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    assert rule(sample_of(*before, [])).image.shape[:2] == after


@pytest.mark.parametrize("boxes", [[], [[10, 10, 60, 70], [100, 20, 130, 60]]])
def test_square_crop_augmentation(boxes: list[list[float]]) -> None:
    sample = sample_of(90, 160, boxes)
    before = sample.image.copy()
    transform = SquareCropAugmentation(input_size=64)
    outs = [transform(sample, draws(seed)) for seed in range(12)]
    for out in outs:
        assert out.image.shape == (64, 64, 3)
        assert out.image.dtype == np.uint8
        assert len(out.boxes) == len(out.labels) == len(out.keypoints) == len(out.ignore)
        assert len(out.boxes) >= min(1, len(boxes))
        assert out.boxes.dtype == out.keypoints.dtype == np.float32
    np.testing.assert_array_equal(sample.image, before)
    again = transform(sample, draws(5))
    np.testing.assert_array_equal(again.image, outs[5].image)
    np.testing.assert_array_equal(again.boxes, outs[5].boxes)
    assert not np.array_equal(outs[0].image, outs[1].image)


def test_objects_move_whatever_their_layout_in_memory() -> None:
    """Columns picked by a list, as mirroring does, come in another order of memory; the old sample stays."""
    plain = sample_of(100, 150, [[10, 20, 30, 40], [90, 60, 110, 80]])
    boxes, keypoints = np.asfortranarray(plain.boxes), np.asfortranarray(plain.keypoints)
    turned = Sample(plain.image, boxes, plain.labels, keypoints, plain.ignore)
    one, other = (sample.moved((2.0, 0.5), (1.0, -3.0)) for sample in (plain, turned))
    np.testing.assert_array_equal(one.boxes, [[21, 7, 61, 17], [181, 27, 221, 37]])
    np.testing.assert_array_equal(other.boxes, one.boxes)
    np.testing.assert_array_equal(other.keypoints, one.keypoints)
    np.testing.assert_array_equal(one.keypoints[:, 0, :2], one.boxes[:, :2])  # the first lies on the corner
    assert one.keypoints[..., 2].all()
    np.testing.assert_array_equal(turned.boxes, plain.boxes)
    assert plain.boxes[0].tolist() == [10, 20, 30, 40]
