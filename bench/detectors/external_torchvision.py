"""A torchvision detection model behind our contract. It normalises, resizes and suppresses on its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.detectors.base import Images, check_images
from bench.detectors.external import ExternalDetector
from bench.detectors.postprocess import Candidates, PostProcessor
from bench.detectors.weights import load_weights
from bench.errors import ConfigError

Outputs = Sequence[Mapping[str, Tensor]]


class TorchvisionDetector(ExternalDetector):
    """
    Args:
        model: takes a list of RGB images [3, H, W] in 0..1 and returns for each `boxes` xyxy, `scores` and `labels`
            (and maybe `keypoints` [n, K, 3]), as the models of `torchvision.models.detection` do.
        classes: the model's label for each of ours, in order: (1,) where label 1 of the model is our label 0.
        options: what `Detector` takes.

    The protocol's threshold, clipping and suppression come after the model's own; build the model with thresholds that
    leave them something to decide (`box_score_thresh`, `score_thresh`).
    """

    def __init__(
        self, postprocessor: PostProcessor, model: nn.Module, classes: Sequence[int] = (1,), **options: Any
    ) -> None:
        super().__init__(postprocessor, **{"mean": (0.0,) * 3, "std": (255.0,) * 3, "divisor": 1, **options})
        if not classes:
            raise ConfigError("expected the model's label for each of our classes, found none")
        self.model = model
        self.classes = tuple(int(label) for label in classes)

    def load_file(self, path: Path, name: str) -> None:
        """The model's own state dict, as torchvision publishes it."""
        load_weights(self.model, path, name)

    def components(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def raw(self, images: Images, pad_to: tuple[int, int] | None = None) -> Candidates:
        """Candidates of images of any sizes; not padded here, since the model pads after its own resizing."""
        check_images(images)
        sizes = torch.tensor([image.shape[-2:] for image in images], dtype=torch.int64, device=self.mean.device)
        return self.candidates(self.model([self.normalize(image[None])[0] for image in images]), sizes)

    def forward(self, images: Tensor) -> Outputs:
        """images [B, 3, H, W] in 0..1 -> the model's detections."""
        return self.model(list(images))

    def candidates(self, outputs: Outputs, sizes: Tensor) -> Candidates:
        """Detections in rows of equal length; where an image has fewer, the rest score nothing."""
        count = max(len(found["scores"]) for found in outputs)
        boxes = sizes.new_zeros((len(outputs), count, 4), dtype=torch.float32)
        scores = boxes.new_zeros((len(outputs), count, len(self.classes)))
        points = [found["keypoints"][..., :2] for found in outputs if "keypoints" in found]
        keypoints = boxes.new_zeros((len(outputs), count, points[0].shape[1], 2)) if points else None
        for index, found in enumerate(outputs):
            n = len(found["scores"])
            boxes[index, :n] = found["boxes"].float()
            ours = found["labels"][:, None] == found["labels"].new_tensor(self.classes)  # [n, C]
            scores[index, :n] = ours * found["scores"].float()[:, None]
            if keypoints is not None:
                keypoints[index, :n] = found["keypoints"][..., :2].float()
        return Candidates(boxes, scores, keypoints, sizes)
