"""Evaluators: `update` with predictions and targets, `compute` to a flat dict of floats (fractions, not percent).

`DESCRIBED_BY` names for each evaluator what reads its ground truth, without torch.
"""

from importlib import import_module
from typing import Any

_HOMES = {"CocoAP": "bench.metrics.coco", "WiderFaceAP": "bench.metrics.wider_face"}
DESCRIBED_BY = {
    "CocoAP": "bench.metrics.coco_ground_truth.ground_truth_of",
    "WiderFaceAP": "bench.metrics.wider_ground_truth.ground_truth_of",
}
__all__ = ["DESCRIBED_BY", *_HOMES]


def __getattr__(name: str) -> Any:
    """The evaluators, imported on first use, since that takes torchmetrics along."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
