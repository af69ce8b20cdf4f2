"""A supersampled, premultiplied BGRA canvas over a whole-pixel rectangle of the scene.

All coordinates are scene pixels in the continuous convention (the first pixel covers 0..1), so what is drawn here lands
on the scene exactly where the annotations say. Drawing happens `supersample` times finer and is averaged down
(INTER_AREA): a face of 8 pixels looks like a face that a camera sampled at 8 pixels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

Colour = tuple[float, float, float]  # blue, green, red, 0..255

_SHIFT = 4  # sub-pixel bits of OpenCV's fixed-point drawing


class Canvas:
    """BGRA uint8 [H * k, W * k, 4], colours premultiplied by alpha; empty at first."""

    def __init__(self, left: int, top: int, right: int, bottom: int, supersample: int) -> None:
        self.left, self.top, self.width, self.height = left, top, right - left, bottom - top
        self.supersample = supersample
        self.pixels = np.zeros((self.height * supersample, self.width * supersample, 4), np.uint8)

    @classmethod
    def around(cls, points: np.ndarray, margin: float, supersample: int) -> Canvas:
        """The canvas covering scene points [N, 2] and `margin` pixels more."""
        low, high = points.min(0) - margin, points.max(0) + margin
        return cls(math.floor(low[0]), math.floor(low[1]), math.ceil(high[0]), math.ceil(high[1]), supersample)

    def local(self, points: np.ndarray) -> np.ndarray:
        """Scene points [..., 2] as OpenCV pixel coordinates of the canvas (centres of pixels at whole numbers)."""
        return (np.asarray(points, np.float64) - (self.left, self.top)) * self.supersample - 0.5

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        return np.round(self.local(points) * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)

    def fill(self, points: np.ndarray, colour: Colour) -> None:
        """An opaque polygon with vertices [N, 2]."""
        cv2.fillPoly(self.pixels, [self._fixed(points)], (*colour, 255.0), cv2.LINE_AA, _SHIFT)

    def stroke(self, points: np.ndarray, colour: Colour, width: float, closed: bool = False) -> None:
        """An opaque line through points [N, 2], `width` scene pixels thick (one canvas pixel at least)."""
        thickness = max(1, round(width * self.supersample))
        cv2.polylines(self.pixels, [self._fixed(points)], closed, (*colour, 255.0), thickness, cv2.LINE_AA, _SHIFT)

    def soften(self, points: np.ndarray, colour: Colour, opacity: float, softness: float) -> None:
        """A polygon with edges blurred over `softness` scene pixels, laid only on what is already painted."""
        sigma = max(softness * self.supersample, 0.5)
        local = self.local(points)
        pad = math.ceil(2.5 * sigma) + 1
        x1, y1 = np.maximum(np.floor(local.min(0)).astype(int) - pad, 0)
        x2 = min(math.ceil(local[:, 0].max()) + pad + 1, self.pixels.shape[1])
        y2 = min(math.ceil(local[:, 1].max()) + pad + 1, self.pixels.shape[0])
        if x2 <= x1 or y2 <= y1:
            return
        coarse = max(int(sigma / 2.5), 1)  # a wide blur needs no fine grid
        mask = np.zeros(((y2 - y1) // coarse + 1, (x2 - x1) // coarse + 1), np.uint8)
        fixed = np.round((local - (x1, y1)) / coarse * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)
        mask = cv2.GaussianBlur(mask, (0, 0), sigma / coarse)
        if mask.shape != (y2 - y1, x2 - x1):
            mask = cv2.resize(mask, (int(x2 - x1), int(y2 - y1)))
        region = self.pixels[y1:y2, x1:x2]
        layer = cv2.merge([cv2.multiply(region[..., 3], np.full_like(mask, c), scale=1 / 255) for c in colour])
        weight = cv2.merge([mask, mask, mask])
        kept = cv2.multiply(region[..., :3], 255 - cv2.convertScaleAbs(weight, alpha=opacity), scale=1 / 255)
        region[..., :3] = cv2.add(kept, cv2.multiply(layer, weight, scale=opacity / 255))

    def multiply(self, shade: np.ndarray) -> None:
        """Multiply the colours by shade [h, w, 3] (any size, stretched over the canvas)."""
        factors = np.dstack([np.clip(shade * 100, 0, 255), np.full(shade.shape[:2], 100.0)]).astype(np.uint8)
        full = cv2.resize(factors, self.pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        cv2.multiply(self.pixels, full, self.pixels, scale=0.01)

    def paste(self, scene: np.ndarray, blur: float = 0.0) -> None:
        """Average down and lay over the scene uint8 [H, W, 3] in place; `blur` is a sigma in scene pixels."""
        k = self.supersample
        small = (
            self.pixels if k == 1 else cv2.resize(self.pixels, (self.width, self.height), interpolation=cv2.INTER_AREA)
        )
        left, top = self.left, self.top
        if blur > 0.2:
            pad = math.ceil(3 * blur)  # room for the blurred edge
            small = cv2.copyMakeBorder(small, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
            small = cv2.GaussianBlur(small, (0, 0), blur)
            left, top = left - pad, top - pad
        x1, y1 = max(left, 0), max(top, 0)
        x2 = min(left + small.shape[1], scene.shape[1])
        y2 = min(top + small.shape[0], scene.shape[0])
        if x2 <= x1 or y2 <= y1:
            return
        part = small[y1 - top : y2 - top, x1 - left : x2 - left]
        under, through = scene[y1:y2, x1:x2], 255 - part[..., 3]
        under[:] = cv2.add(cv2.multiply(under, cv2.merge([through] * 3), scale=1 / 255), part[..., :3])


def ellipse(x: float, y: float, rx: float, ry: float, points: int = 28) -> np.ndarray:
    """Vertices of an axis-aligned ellipse, [points, 2]."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def shaded(colour: Colour, factor: float) -> Colour:
    """A lighter (factor > 1) or darker colour."""
    return (min(colour[0] * factor, 255.0), min(colour[1] * factor, 255.0), min(colour[2] * factor, 255.0))


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with `share` of `second` in it."""
    b, g, r = (p * (1 - share) + q * share for p, q in zip(first, second, strict=True))
    return (b, g, r)
