"""Anchors: reference boxes on the cells of each feature map.

SCRFD (arXiv 2105.04714) and TinaFace put a cell's anchors on its corner (center_offset 0); BlazeFace, EfficientDet and
SSD in its middle (0.5). Boxes, centers and sizes are in pixels of the network's input.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.errors import ConfigError

_CACHED_SIZES = 16  # evaluation at original size meets hundreds of image sizes; training one or two


@dataclass(frozen=True)
class Anchors:
    """Anchors of all levels in one row: level by level, then H, W, anchor of the cell (fastest)."""

    boxes: Tensor  # [N, 4] xyxy pixels
    centers: Tensor  # [N, 2] x, y pixels
    strides: Tensor  # [N] pixels
    level_sizes: tuple[int, ...] = ()  # anchors a level; () for a selection
    grids: tuple[tuple[int, int], ...] = ()  # (rows, columns) of cells a level; () for a selection

    def __len__(self) -> int:
        return self.boxes.shape[0]

    def select(self, index: Tensor) -> "Anchors":
        """The anchors at `index` (int64 [n] or bool [N]), no longer a lattice."""
        return Anchors(self.boxes[index], self.centers[index], self.strides[index])


@dataclass(frozen=True)
class AnchorGenerator:
    """Makes the anchors of an image of a given size.

    `sizes` gives the side lengths in pixels for each level, `ratios` the h / w of boxes that keep the area side^2;
    a cell's anchors are ordered by size, then ratio. A feature map has ceil(image / stride) cells a side.
    Raises ConfigError when strides and sizes do not pair up.
    """

    strides: Sequence[int]
    sizes: Sequence[Sequence[float]]
    ratios: Sequence[float] = (1.0,)
    center_offset: float = 0.0
    _cache: dict[tuple[int, int, torch.device], Anchors] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if len(self.strides) != len(self.sizes) or not all(len(level) for level in self.sizes) or not self.ratios:
            raise ConfigError(
                f"anchors: expected one non-empty list of sizes for each stride and at least one ratio, found strides "
                f"{list(self.strides)}, sizes {[list(level) for level in self.sizes]}, ratios {list(self.ratios)}; "
                "mend the detector's anchors"
            )

    @property
    def per_cell(self) -> tuple[int, ...]:
        """Anchors in one cell of each level."""
        return tuple(len(level) * len(self.ratios) for level in self.sizes)

    def __call__(self, image_size: tuple[int, int], device: torch.device | str | None = None) -> Anchors:
        """Anchors for an image of `image_size` (H, W), on `device` (default: CPU); cached: do not write into them."""
        height, width = int(image_size[0]), int(image_size[1])
        key = (height, width, torch.device(device or "cpu"))
        if key in self._cache:
            return self._cache[key]
        # A tensor born in inference mode (a validation pass) could not take part in training later.
        with torch.inference_mode(False):
            anchors = self._generate(height, width, key[2])
        if type(anchors.boxes) is torch.Tensor:  # an exporter's fake tensors must not outlive the export
            if len(self._cache) >= _CACHED_SIZES:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = anchors
        return anchors

    def _generate(self, height: int, width: int, device: torch.device) -> Anchors:
        grids = tuple((math.ceil(height / stride), math.ceil(width / stride)) for stride in self.strides)
        centers, extents, strides = [], [], []
        for (rows, columns), stride, sizes, count in zip(grids, self.strides, self.sizes, self.per_cell, strict=True):
            y = (torch.arange(rows, device=device, dtype=torch.float32) + self.center_offset) * stride
            x = (torch.arange(columns, device=device, dtype=torch.float32) + self.center_offset) * stride
            cells = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # [rows, columns, 2]
            centers.append(cells.reshape(-1, 1, 2).expand(-1, count, 2).reshape(-1, 2))
            sides = [(size / math.sqrt(ratio), size * math.sqrt(ratio)) for size in sizes for ratio in self.ratios]
            extents.append(torch.tensor(sides, device=device).repeat(rows * columns, 1))  # [rows * columns * count, 2]
            strides.append(torch.full((rows * columns * count,), float(stride), device=device))
        center, half = torch.cat(centers), torch.cat(extents) / 2
        return Anchors(
            boxes=torch.cat([center - half, center + half], dim=1),
            centers=center,
            strides=torch.cat(strides),
            level_sizes=tuple(len(level) for level in centers),
            grids=grids,
        )


def blazeface_anchor_sizes(
    min_scale: float, max_scale: float, strides: Sequence[int], input_size: int
) -> tuple[tuple[float, ...], ...]:
    """Side lengths in pixels that MediaPipe's SSD anchor rule gives BlazeFace, one tuple for each different stride.

    `strides` has one entry for each of the rule's layers, e.g. (8, 16, 16, 16): layers of equal stride share their
    cells. Layer k of n has the scales s_k = min + (max - min) k / (n - 1) and sqrt(s_k s_{k+1}), with s_n = 1.
    MediaPipe's decoder then replaces all sizes by 1; IoU matching in training needs them.
    """
    last = len(strides) - 1
    scales = [min_scale + (max_scale - min_scale) * k / last for k in range(last + 1)] + [1.0]
    sizes: dict[int, tuple[float, ...]] = {}
    for k, stride in enumerate(strides):
        pair = (scales[k] * input_size, math.sqrt(scales[k] * scales[k + 1]) * input_size)
        sizes[stride] = sizes.get(stride, ()) + pair
    return tuple(sizes.values())
