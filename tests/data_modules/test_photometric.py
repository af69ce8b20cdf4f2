"""Photometric distortion against a plain float64 version of the rule."""

import colorsys

import numpy as np
import pytest

from data_modules.loading.transforms.photometric import Distortion, PhotometricDistortion, distort

PLAIN = {
    "brightness": 0.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "hue": 0.0,
    "channels": np.arange(3),
    "contrast_first": True,
}
IMAGE = np.random.default_rng(1).integers(40, 216, (9, 13, 3), dtype=np.uint8)


def reference(image: np.ndarray, draw: dict) -> np.ndarray:
    """The rule pixel by pixel; values stay above 0 in between, where the hexcone has one meaning only."""
    out = np.empty(image.shape, np.float64)
    for place in np.ndindex(image.shape[:2]):
        pixel = image[place].astype(np.float64) + draw["brightness"]
        if draw["contrast_first"]:
            pixel = pixel * draw["contrast"]
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        pixel = np.array(colorsys.hsv_to_rgb((hue + draw["hue"] / 360) % 1.0, saturation * draw["saturation"], value))
        if not draw["contrast_first"]:
            pixel = pixel * draw["contrast"]
        out[place] = pixel[draw["channels"]]
    return np.clip(np.rint(out), 0, 255)


@pytest.mark.parametrize(
    "draw",
    [
        {},
        {"brightness": -32.0},
        {"brightness": 20.3, "contrast": 1.5},
        {"brightness": 20.3, "contrast": 1.5, "contrast_first": False, "saturation": 0.5},
        {"contrast": 0.53, "hue": -18.0},
        {"saturation": 1.47, "hue": 18.0},
        {"channels": np.array([2, 0, 1])},
        {"brightness": -7.0, "contrast": 0.9, "saturation": 1.2, "hue": -4.0, "channels": np.array([1, 2, 0])},
    ],
)
def test_against_reference(draw: dict) -> None:
    draw = PLAIN | draw
    out = distorted(IMAGE, draw)
    assert out.dtype == np.uint8
    difference = np.abs(out.astype(float) - reference(IMAGE, draw))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.02  # float32 against float64, where the value lies at a half


def distorted(image: np.ndarray, draw: dict) -> np.ndarray:
    """By ours, which knows no order: the reference's two orders must both come to the same."""
    values = {key: value for key, value in draw.items() if key != "contrast_first"}
    return distort(image, Distortion(**{**values, "channels": tuple(values["channels"].tolist())}))


def test_no_change_is_exact() -> None:
    np.testing.assert_array_equal(distorted(IMAGE, PLAIN), IMAGE)


def test_clips_instead_of_wrapping() -> None:
    extremes = np.array([[[0, 128, 255]]], np.uint8)
    assert distorted(extremes, PLAIN | {"brightness": 32.0}).tolist() == [[[32, 160, 255]]]
    assert distorted(extremes, PLAIN | {"brightness": -32.0}).tolist() == [[[0, 96, 223]]]


def test_draws() -> None:
    """Each step in about half of the images, within its range."""
    transform, rng = PhotometricDistortion(), np.random.default_rng(0)
    found = [vars(transform.draw(rng)) for _ in range(1000)]
    for name, rest, low, high in [
        ("brightness", 0.0, -32, 32),
        ("contrast", 1.0, 0.5, 1.5),
        ("saturation", 1.0, 0.5, 1.5),
        ("hue", 0.0, -18, 18),
    ]:
        values = np.array([draw[name] for draw in found])
        changed = values[values != rest]
        assert 430 < len(changed) < 570
        assert low <= changed.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < changed.max() <= high
    moved = sum(draw["channels"] != (0, 1, 2) for draw in found)
    assert 350 < moved < 480  # half, times the 5 of 6 permutations that move something


def test_only_the_generator_decides() -> None:
    transform = PhotometricDistortion()
    outs = [transform.distort(IMAGE, np.random.default_rng(seed)) for seed in range(8)]
    np.random.seed(5)  # noqa: NPY002 - the global state must not matter
    for seed, out in enumerate(outs):
        np.testing.assert_array_equal(out, PhotometricDistortion().distort(IMAGE, np.random.default_rng(seed)))
    assert len({out.tobytes() for out in outs}) > 4
