"""A torchvision detection model behind our contract. It normalises, resizes and suppresses on its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.detectors.base import Size, check_images
from bench.detectors.batches import by_size
from bench.detectors.candidates import Candidates, Images
from bench.detectors.external.base import ExternalDetector
from bench.errors import ConfigError
from bench.weights.load import load_state

Outputs = Sequence[Mapping[str, Tensor]]


class TorchvisionDetector(ExternalDetector):
    """A model that takes images and returns finished detections, such as torchvision's.

    Args:
        model: takes a list of RGB images [3, H, W] in 0..1 and returns for each `boxes` xyxy, `scores` and `labels`
            (and maybe `keypoints` [n, K, 3]), as the models of `torchvision.models.detection` do.
        classes: the model's label for each of ours, in order: (1,) where label 1 of the model is our label 0.
        options: what `Detector` takes.

    The protocol's threshold, clipping and suppression come after the model's own; build the model with thresholds that
    leave them something to decide (`box_score_thresh`, `score_thresh`).
    """

    def __init__(self, model: nn.Module, classes: Sequence[int] = (1,), **options: Any) -> None:
        super().__init__(**{"mean": (0.0,) * 3, "std": (255.0,) * 3, "divisor": 1, **options})
        if not classes:
            raise ConfigError("expected the model's label for each of our classes, found none")
        self.model = model
        self.classes = tuple(int(label) for label in classes)

    def load(self, path: Path, name: str) -> None:
        """The model's own state dict, as torchvision publishes it."""
        load_state(self.model, path, name)

    def components(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def raw(self, images: Images, pad_to: Size | None = None) -> Candidates:
        """Candidates of images of any sizes, size by size: the model resizes a batch and pads to its largest image."""
        check_images(images)
        sizes = torch.tensor([image.shape[-2:] for image in images], dtype=torch.int64, device=self.mean.device)
        found: dict[int, Mapping[str, Tensor]] = {}
        for index in by_size(images):
            found.update(zip(index, self.model([self.normalize(images[i][None])[0] for i in index]), strict=True))
        return self.candidates([found[i] for i in range(len(images))], sizes)

    def forward(self, images: Tensor) -> Outputs:
        """images [B, 3, H, W] in 0..1 -> the model's detections."""
        return self.model(list(images))

    def candidates(self, outputs: Outputs, sizes: Tensor) -> Candidates:
        counts = torch.tensor([len(found["scores"]) for found in outputs], device=sizes.device)
        classes = sizes.new_tensor(self.classes)
        labels = torch.cat([found["labels"] for found in outputs])
        ours = labels[:, None] == classes.to(labels)  # [M, C]
        points = [found["keypoints"][..., :2].float() for found in outputs if "keypoints" in found]
        return Candidates(
            boxes=torch.cat([found["boxes"] for found in outputs]).float(),
            scores=ours * torch.cat([found["scores"] for found in outputs]).float()[:, None],
            image=torch.arange(len(outputs), device=sizes.device).repeat_interleave(counts),
            sizes=sizes,
            keypoints=torch.cat(points) if points else None,
        )
