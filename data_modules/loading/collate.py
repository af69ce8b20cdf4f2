"""Samples -> the batch that detectors take: `{"images": ..., "targets": [...]}`; a target's keys: `dataset.py`."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_modules.loading.transforms.sample import as_planes

Item = tuple[Tensor, dict[str, Any]]


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """uint8 [H, W, 3] -> contiguous uint8 [3, H, W]; in the memory of `image` where that lies as planes."""
    return torch.from_numpy(as_planes(image))


def collate_stacked(items: list[Item]) -> dict[str, Any]:
    """Images of one size, stacked: uint8 [B, 3, S, S]."""
    # By NumPy: torch starts its threads for a copy of half a megabyte, and waits for them.
    images = torch.from_numpy(np.stack([image.numpy() for image, _ in items]))
    return {"images": images, "targets": [target for _, target in items]}


def collate_ragged(items: list[Item]) -> dict[str, Any]:
    """Images each of its own size: a list of uint8 [3, h, w]. Padding belongs to the detector."""
    return {"images": [image for image, _ in items], "targets": [target for _, target in items]}
