"""The targets of a batch joined: the objects of all images in one row, image after image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.boxes.assigners.assignment import BatchBoxes

Target = Mapping[str, Any]


@dataclass(frozen=True)
class BatchTargets:
    """M objects of B images. Those to be ignored are among them, as boxes that are not used."""

    boxes: BatchBoxes
    labels: Tensor  # int64 [M]
    keypoints: Tensor  # [M, K, 3]


def join_targets(targets: Sequence[Target], device: torch.device) -> BatchTargets:
    """The targets of B images, joined where they lie and moved to `device` at once."""
    boxes, labels, keypoints, ignore = (
        torch.cat([target[key] for target in targets]).to(device, non_blocking=True)
        for key in ("boxes", "labels", "keypoints", "ignore")
    )
    counts = [len(target["boxes"]) for target in targets]
    image = torch.from_numpy(np.repeat(np.arange(len(targets)), counts)).to(device, non_blocking=True)
    return BatchTargets(BatchBoxes(boxes, image, ~ignore, len(targets)), labels, keypoints)
