"""Photometric distortion (SSD, arXiv 1512.02325, section 2.2, in the form SCRFD and TinaFace train with).

Saturation and hue are defined in the HSV hexcone, but nothing here converts to it: with the largest channel M and the
smallest m of a pixel, scaling the saturation by s takes channel x to M - s (M - x), and turning the hue by k sixths of
the circle (0 <= k <= 1/2) takes channel x, of its neighbours y and z in the order R, G, B, R, G, to

    x - y + clip(M + m - z, m + k (M - m), M - k (M - m)), clipped to m .. M

(y and z change places where the hue turns back). Both are linear along every edge of the hexcone, which is why they are
exact. Contrast multiplies all of it, and brightness moves M, m and x alike, so the order of the steps falls out.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from data_modules.loading.transforms.sample import as_planes

BRIGHTNESS = 32.0
FACTORS = (0.5, 1.5)
HUE = 18.0  # degrees
_STRIP = 48  # rows distorted at a time: what lies between the steps stays in the cache of the processor
_UNIT = 64  # of the fixed point numbers that the hue is turned in: 2 * 255 * 64 is the most an int16 must hold


@dataclass(frozen=True)
class Distortion:
    """The draws for one image; as they stand here, none of them changes anything."""

    brightness: float = 0.0  # added
    contrast: float = 1.0  # factor
    saturation: float = 1.0  # factor
    hue: float = 0.0  # degrees, within +-90
    channels: tuple[int, int, int] = (0, 1, 2)  # which channel comes to this place


class PhotometricDistortion:
    """Brightness, contrast, saturation, hue and a shuffle of the channels, each with probability 0.5.

    Brightness +-32; contrast x 0.5-1.5; saturation x 0.5-1.5; hue +-18 degrees; channels shuffled. Whether contrast
    comes before or after saturation and hue, which the released pipelines draw too, changes nothing but rounding.
    Nothing is clipped in between; the result is rounded and clipped to uint8, because the batch is uint8 (the released
    pipelines hand unclipped floats to the network). Where brightness takes all three channels below 0 the released
    pipelines leave the hexcone, and their way back mirrors the channels at the largest; so does this.
    """

    def distort(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """`image` uint8 [H, W, 3] RGB, distorted by draws of `rng` alone; the result lies in memory as planes."""
        return distort(image, self.draw(rng))

    def draw(self, rng: np.random.Generator) -> Distortion:
        """The draws for one image: a step that is left out changes nothing."""
        brightness, contrast, saturation, hue, shuffle, _ = rng.random(6) < 0.5  # the last: contrast first, or not
        drawn = {
            "brightness": rng.uniform(-BRIGHTNESS, BRIGHTNESS) if brightness else 0.0,
            "contrast": rng.uniform(*FACTORS) if contrast else 1.0,
            "saturation": rng.uniform(*FACTORS) if saturation else 1.0,
            "hue": rng.uniform(-HUE, HUE) if hue else 0.0,
        }
        first, second, third = (rng.permutation(3) if shuffle else np.arange(3)).tolist()
        return Distortion(**drawn, channels=(first, second, third))


def distort(image: NDArray[np.uint8], draw: Distortion) -> NDArray[np.uint8]:
    """uint8 RGB [H, W, 3] -> the same, in memory as planes."""
    source = as_planes(image)
    result = np.empty_like(source)
    for top in range(0, len(image), _STRIP):
        rows = slice(top, top + _STRIP)
        _distort_rows(source[:, rows], draw, result[:, rows])
    return result.transpose(1, 2, 0)


def _distort_rows(pixels: Any, draw: Distortion, result: Any) -> None:
    """uint8 [3, h, w] -> `result`, uint8 [3, h, w]."""
    largest, unit = cv2.max(cv2.max(pixels[0], pixels[1]), pixels[2]), 1
    below = largest < -draw.brightness if draw.brightness < 0.0 else np.False_
    if draw.hue != 0.0:
        pixels, unit = _turn(pixels, largest, draw.hue / 60.0), _UNIT
    if below.any():
        pixels = _mirror(pixels, largest, below, unit)
    if draw.hue != 0.0:  # OpenCV adds integers of 16 bits one at a time, but floats many at once
        pixels, largest = pixels.astype(np.float32), largest.astype(np.float32)
    own, others = draw.contrast * draw.saturation / unit, draw.contrast * (1.0 - draw.saturation)
    for place, channel in enumerate(draw.channels):
        offset = draw.contrast * draw.brightness
        cv2.addWeighted(pixels[channel], own, largest, others, offset, result[place], cv2.CV_8U)


def _turn(rgb: Any, largest: Any, sixths: float) -> Any:
    """uint8 [3, h, w] -> int16 [3, h, w] in units of 1 / _UNIT: the hue turned by `sixths` of the circle."""
    smallest = cv2.min(cv2.min(rgb[0], rgb[1]), rgb[2])
    turns = np.rint(np.arange(256) * abs(sixths) * _UNIT).astype(np.int16)
    turn = cv2.LUT(cv2.subtract(largest, smallest), turns)
    high, low = (np.multiply(bound, _UNIT, dtype=np.int16) for bound in (largest, smallest))
    x = np.multiply(rgb, _UNIT, dtype=np.int16)
    third = np.subtract(high + low, x)
    np.maximum(third, low + turn, out=third)
    np.minimum(third, high - turn, out=third)
    turned = np.empty_like(x)
    for a in range(3):
        y, z = ((a + 1) % 3, (a + 2) % 3) if sixths > 0 else ((a + 2) % 3, (a + 1) % 3)
        np.subtract(x[a], x[y], out=turned[a])
        turned[a] += third[z]
    np.maximum(turned, low, out=turned)
    return np.minimum(turned, high, out=turned)


def _mirror(pixels: Any, largest: Any, below: Any, unit: int) -> Any:
    """Channels x -> 2 M - x where `below` [h, w]; M < 32 there, so all fits, and what wraps elsewhere is unused."""
    mirrored = np.multiply(largest, pixels.dtype.type(2 * unit), dtype=pixels.dtype) - pixels
    return np.where(below, mirrored, pixels)
