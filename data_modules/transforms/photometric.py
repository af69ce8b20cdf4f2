"""Photometric distortion (SSD, arXiv 1512.02325, section 2.2, in the form SCRFD and TinaFace train with).

The only module that imports albumentations.
"""

import os
import random
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise importing it asks the network for a newer version

import albumentations

BRIGHTNESS = 32.0
FACTORS = (0.5, 1.5)
HUE = 18.0  # degrees
_STRIP = 32  # rows distorted at a time: what lies between the steps stays in the cache of the processor


class PhotometricDistortion(albumentations.ImageOnlyTransform):
    """Brightness, contrast, saturation, hue and a shuffle of the channels, each with probability 0.5.

    In this order, contrast before or after saturation and hue with equal probability: brightness +-32; contrast x
    0.5-1.5; saturation x 0.5-1.5; hue +-18 degrees; channels shuffled. The work is done in float32 without clipping in
    between; the result is rounded and clipped to uint8, because the batch is uint8 (the released pipelines hand
    unclipped floats to the network).
    """

    def __init__(self) -> None:
        super().__init__(p=1.0)

    def distort(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """`image` uint8 [H, W, 3] RGB, distorted by draws of `rng` alone."""
        self.set_random_state(rng, random.Random(0))
        distorted: NDArray[np.uint8] = self(image=image)["image"]
        return distorted

    def get_params(self) -> dict[str, Any]:
        """The draws for one image: None (or no shuffle) where a step is left out."""
        rng = self.random_generator
        brightness, contrast, saturation, hue, shuffle, contrast_first = rng.random(6) < 0.5
        return {
            "brightness": rng.uniform(-BRIGHTNESS, BRIGHTNESS) if brightness else 0.0,
            "contrast": rng.uniform(*FACTORS) if contrast else 1.0,
            "saturation": rng.uniform(*FACTORS) if saturation else 1.0,
            "hue": rng.uniform(-HUE, HUE) if hue else 0.0,
            "channels": rng.permutation(3) if shuffle else np.arange(3),
            "contrast_first": bool(contrast_first),
        }

    def apply(
        self,
        img: NDArray[np.uint8],
        brightness: float,
        contrast: float,
        saturation: float,
        hue: float,
        channels: NDArray[np.int64],
        contrast_first: bool,
        **params: Any,
    ) -> NDArray[np.uint8]:
        """Distort with the draws of `get_params`; see the class for the order."""
        first, last = (contrast, 1.0) if contrast_first else (1.0, contrast)
        result = np.empty(img.shape, np.uint8)
        for top in range(0, len(img), _STRIP):
            strip = img[top : top + _STRIP]
            pixels = cv2.addWeighted(strip, first, strip, 0.0, brightness * first, dtype=cv2.CV_32F)
            if saturation != 1.0 or hue != 0.0:
                pixels = _saturation_and_hue(pixels, saturation, hue)
            rounded_and_clipped = result[top : top + _STRIP]
            cv2.addWeighted(pixels, last, pixels, 0.0, 0.0, rounded_and_clipped, cv2.CV_8U)
        if channels.tolist() != [0, 1, 2]:
            pairs = np.stack([channels, np.arange(3)], axis=1)  # from channel, to channel
            cv2.mixChannels([result], [shuffled := np.empty_like(result)], pairs.ravel().tolist())
            return shuffled
        return result


def _saturation_and_hue(pixels: Any, saturation: float, hue: float) -> Any:
    """float32 RGB [H, W, 3]: saturation times `saturation`, hue plus `hue` degrees, in the HSV hexcone.

    OpenCV wraps hues above 360 degrees on the way back, so the negative ones are all there is to avoid.
    """
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)  # H in degrees, S in 0..1, V as in RGB
    change = np.array([[1.0, 0.0, 0.0, hue % 360.0], [0.0, saturation, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    return cv2.cvtColor(cv2.transform(hsv, change), cv2.COLOR_HSV2RGB)
