"""Evaluation of one forward pass under several post-processors at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torchmetrics import Metric

from bench.detectors.multi_scale import View
from bench.detectors.postprocess import Candidates, PostProcessor, Prediction


@dataclass
class Evaluation:
    """
    Args:
        postprocessors: by the name under which their metrics are reported.
        metrics: an evaluator for each of them.
        pad_to: (height, width) of the padded input, None pads to the detector's divisor.
        views: of multi-scale testing; none: the detector looks at the images as they are.
        predictions: by post-processor and image id, in the pixels of the original image; kept until the next reset.
    """

    postprocessors: Mapping[str, PostProcessor]
    metrics: Mapping[str, Metric]
    pad_to: tuple[int, int] | None = None
    views: Sequence[View] = ()
    predictions: dict[str, dict[Any, Prediction]] = field(default_factory=dict)

    def update(self, candidates: Candidates, targets: Sequence[Mapping[str, Any]]) -> None:
        candidates = replace(candidates, scales=torch.stack([target["scale"] for target in targets]))
        for name, postprocessor in self.postprocessors.items():
            predictions = [
                to_original(prediction, target)
                for prediction, target in zip(postprocessor(candidates), targets, strict=True)
            ]
            self.metrics[name].update(predictions, targets)
            kept = self.predictions.setdefault(name, {})
            kept.update({t["image_id"]: p for t, p in zip(targets, predictions, strict=True)})

    def limit_candidates(self, count: int | None) -> None:
        """Let at most `count` candidates an image enter the suppressions: faster, and another protocol than before."""
        self.postprocessors = {name: replace(p, pre_top_k=count) for name, p in self.postprocessors.items()}

    def compute(self) -> dict[str, dict[str, float]]:
        """Metrics by post-processor."""
        return {name: metric.compute() for name, metric in self.metrics.items()}

    def reset(self) -> None:
        self.predictions.clear()
        for metric in self.metrics.values():
            metric.reset()


def to_original(prediction: Prediction, target: Mapping[str, Any]) -> Prediction:
    """Boxes and keypoints from the resized image back to the pixels of the original, on the CPU."""
    moved = {name: value.cpu() for name, value in prediction.items()}
    scale = target["scale"].cpu()  # [2] resized over original, x and y
    moved["boxes"] = moved["boxes"] / scale.repeat(2)
    keypoints = moved["keypoints"].clone()
    keypoints[..., :2] = keypoints[..., :2] / scale
    moved["keypoints"] = keypoints
    return moved
