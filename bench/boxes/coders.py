"""Box coders: boxes and keypoints as numbers relative to an anchor, and back.

`decode` and `decode_keypoints` take leading batch dimensions; anchors are [N] and broadcast over them. Half precision
comes back as float32: pixels need it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bench.boxes.anchors import Anchors
from bench.boxes.geometry import full_precision
from bench.errors import ConfigError

_SMALLEST_SIDE = 1e-6  # pixels: keeps the logarithm of a box without width finite


class BoxCoder(Protocol):
    """Boxes [..., N, 4] and keypoints [..., N, K, 2] in pixels <-> numbers [..., N, 4] and [..., N, 2K]."""

    def encode(self, anchors: Anchors, boxes: Tensor) -> Tensor: ...
    def decode(self, anchors: Anchors, deltas: Tensor) -> Tensor: ...
    def encode_keypoints(self, anchors: Anchors, keypoints: Tensor) -> Tensor: ...
    def decode_keypoints(self, anchors: Anchors, deltas: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class DistanceCoder:
    """Distances from the anchor's center to the left, top, right and bottom edge, in strides (FCOS, SCRFD).

    The anchor's size plays no part: all anchors of a cell decode alike.
    """

    def encode(self, anchors: Anchors, boxes: Tensor) -> Tensor:
        """xyxy boxes [..., N, 4] -> distances [..., N, 4]; negative where the center lies outside the box."""
        boxes = full_precision(boxes)
        distances = torch.cat([anchors.centers - boxes[..., :2], boxes[..., 2:] - anchors.centers], dim=-1)
        return distances / anchors.strides[:, None]

    def decode(self, anchors: Anchors, deltas: Tensor) -> Tensor:
        """Distances [..., N, 4] -> xyxy boxes [..., N, 4]."""
        distances = full_precision(deltas) * anchors.strides[:, None]
        return torch.cat([anchors.centers - distances[..., :2], anchors.centers + distances[..., 2:]], dim=-1)

    def encode_keypoints(self, anchors: Anchors, keypoints: Tensor) -> Tensor:
        """Keypoints [..., N, K, 2] -> offsets [..., N, 2K] in strides, x and y by turns."""
        offsets = full_precision(keypoints) - anchors.centers[:, None]  # [..., N, K, 2]
        return (offsets / anchors.strides[:, None, None]).flatten(-2)

    def decode_keypoints(self, anchors: Anchors, deltas: Tensor) -> Tensor:
        """Offsets [..., N, 2K] -> keypoints [..., N, K, 2]."""
        offsets = _points(deltas)  # [..., N, K, 2]
        return anchors.centers[:, None] + offsets * anchors.strides[:, None, None]


@dataclass(frozen=True)
class DeltaCoder:
    """Offset of the center over the anchor's size, and the logarithm of the size ratio (Faster R-CNN, SSD).

    Each of (dx, dy, dw, dh) is divided by its `stds`; SSD calls these variances. `clamp` bounds dw and dh from above
    before exp, so that a wild prediction of an untrained net stays finite. Raises ConfigError unless stds has four
    positive entries.
    """

    stds: Sequence[float] = (0.1, 0.1, 0.2, 0.2)
    clamp: float = math.log(1000 / 16)

    def __post_init__(self) -> None:
        if len(self.stds) != 4 or min(self.stds) <= 0:
            raise ConfigError(f"box coder: expected four positive stds (x, y, w, h), found {list(self.stds)}")

    def encode(self, anchors: Anchors, boxes: Tensor) -> Tensor:
        """xyxy boxes [..., N, 4] -> deltas [..., N, 4]."""
        boxes, sizes = full_precision(boxes), _sizes(anchors)
        offsets = ((boxes[..., :2] + boxes[..., 2:]) / 2 - anchors.centers) / sizes
        ratios = (boxes[..., 2:] - boxes[..., :2]).clamp(min=_SMALLEST_SIDE) / sizes
        deltas = torch.cat([offsets, ratios.log()], dim=-1)
        return deltas / deltas.new_tensor(list(self.stds))

    def decode(self, anchors: Anchors, deltas: Tensor) -> Tensor:
        """Deltas [..., N, 4] -> xyxy boxes [..., N, 4]."""
        deltas, sizes = full_precision(deltas), _sizes(anchors)
        deltas = deltas * deltas.new_tensor(list(self.stds))
        centers = anchors.centers + deltas[..., :2] * sizes
        half = deltas[..., 2:].clamp(max=self.clamp).exp() * sizes / 2
        return torch.cat([centers - half, centers + half], dim=-1)

    def encode_keypoints(self, anchors: Anchors, keypoints: Tensor) -> Tensor:
        """Keypoints [..., N, K, 2] -> offsets [..., N, 2K], coded like the center of the box."""
        offsets = full_precision(keypoints) - anchors.centers[:, None]  # [..., N, K, 2]
        return (offsets / self._keypoint_unit(anchors)).flatten(-2)

    def decode_keypoints(self, anchors: Anchors, deltas: Tensor) -> Tensor:
        """Offsets [..., N, 2K] -> keypoints [..., N, K, 2]."""
        offsets = _points(deltas)  # [..., N, K, 2]
        return anchors.centers[:, None] + offsets * self._keypoint_unit(anchors)

    def _keypoint_unit(self, anchors: Anchors) -> Tensor:
        sizes = _sizes(anchors)
        return (sizes * sizes.new_tensor(list(self.stds[:2])))[:, None]  # [N, 1, 2]


def _points(deltas: Tensor) -> Tensor:
    return full_precision(deltas).reshape(*deltas.shape[:-1], deltas.shape[-1] // 2, 2)  # [..., N, K, 2]


def _sizes(anchors: Anchors) -> Tensor:
    return anchors.boxes[:, 2:] - anchors.boxes[:, :2]  # [N, 2] width, height
