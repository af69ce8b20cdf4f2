"""One forward pass over the images of a protocol, several post-processors, several evaluators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from bench.detectors.batches import by_size, picked
from bench.detectors.candidates import Candidates, Prediction
from bench.errors import ConfigError, PredictionError
from bench.evaluation.looks import PLAIN, Look, Proposer, propose
from bench.evaluation.postprocess import PostProcessor
from bench.metrics.evaluator import Evaluator

Statistics = dict[str, Any]  # name -> array of one row an image, or of one row a detection


@dataclass
class Evaluation:
    """
    Args:
        postprocessors: by the name under which their metrics are reported.
        evaluators: for each post-processor its evaluators by name.
        pad_to: (height, width) of the padded input, None pads to the detector's divisor.
        looks: how an image is shown to the detector; one plain look by default.
        predictions: by post-processor and image id, in the pixels of the original image; kept until the next reset.
    """

    postprocessors: Mapping[str, PostProcessor]
    evaluators: Mapping[str, Mapping[str, Evaluator]]
    pad_to: tuple[int, int] | None = None
    looks: Sequence[Look] = PLAIN
    predictions: dict[str, dict[Any, Prediction]] = field(default_factory=dict)

    def step(self, detector: Proposer, images: Any, targets: Sequence[Mapping[str, Any]]) -> None:
        """Look at a batch, bring candidates back to the originals' pixels, post-process and hand out.

        Args:
            images: uint8 [3, H, W] each, resized as the protocol says.
            targets: per image `image_id` and `size` [2], height and width of the original.

        Raises:
            PredictionError: a score or box that is not finite, naming the image.
        """
        resized = any(look.resize is not None for look in self.looks)  # images of one size stay so in every look
        for index in by_size(images, None if resized else self.pad_to):
            chosen = [targets[i] for i in index]
            sizes = torch.stack([target["size"] for target in chosen])
            found = propose(detector, picked(images, index), sizes, self.pad_to, self.looks)
            self.update(found, chosen)

    def update(self, candidates: Candidates, targets: Sequence[Mapping[str, Any]]) -> None:
        """Take candidates of some images, in pixels of the originals."""
        check_finite(candidates, [target["image_id"] for target in targets])
        for name, postprocessor in self.postprocessors.items():
            predictions = [
                {key: value.cpu() for key, value in prediction.items()} for prediction in postprocessor(candidates)
            ]
            for evaluator in self.evaluators[name].values():
                evaluator.update(predictions, targets)
            kept = self.predictions.setdefault(name, {})
            kept.update({t["image_id"]: p for t, p in zip(targets, predictions, strict=True)})

    def limit_candidates(self, count: int | None) -> None:
        """Let at most `count` candidates an image enter the suppressions: faster, and another protocol than before."""
        self.postprocessors = {name: replace(p, pre_top_k=count) for name, p in self.postprocessors.items()}

    def compute(self) -> dict[str, dict[str, float]]:
        """Metrics by post-processor; those of its evaluators side by side.

        Raises:
            ConfigError: two evaluators of one protocol report the same key.
        """
        return {name: merged(evaluators) for name, evaluators in self.evaluators.items()}

    def statistics(self) -> dict[str, dict[str, Statistics]]:
        """Per-image statistics by post-processor and evaluator."""
        return {
            name: {key: evaluator.per_image() for key, evaluator in evaluators.items()}
            for name, evaluators in self.evaluators.items()
        }

    def reset(self) -> None:
        self.predictions.clear()
        for evaluators in self.evaluators.values():
            for evaluator in evaluators.values():
                evaluator.reset()


def merged(evaluators: Mapping[str, Evaluator]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name, evaluator in evaluators.items():
        values = evaluator.compute()
        twice = sorted(metrics.keys() & values.keys())
        if twice:
            raise ConfigError(f"evaluator `{name}` reports {twice}, as another evaluator of the protocol does")
        metrics |= values
    return metrics


def check_finite(candidates: Candidates, image_ids: Sequence[Any]) -> None:
    """Raise PredictionError for the first candidate with a score, box or keypoint that is NaN or infinite."""
    values = [candidates.scores, candidates.boxes]
    values += [] if candidates.keypoints is None else [candidates.keypoints.flatten(1)]
    finite = torch.stack([value.isfinite().all(dim=1) for value in values])  # [2 or 3, M]
    if bool(finite.all()):
        return
    kind, row = (~finite).nonzero()[0].tolist()
    image = image_ids[int(candidates.image[row])]
    what = ("score", "box", "keypoint")[kind]
    raise PredictionError(
        f"image {image}: expected finite scores and boxes, found a {what} {values[kind][row].tolist()}; the detector "
        "has diverged, its weights are damaged, or its precision is too low (trainer.precision=32-true)"
    )
