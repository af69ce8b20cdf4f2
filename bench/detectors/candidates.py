"""What a detector proposes for a batch of images before any suppression."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Images = Tensor | Sequence[Tensor]  # uint8 [B, 3, H, W], or one [3, H, W] each
Prediction = dict[str, Tensor]  # boxes [n, 4], scores [n], labels [n], keypoints [n, K, 3] of one image


@dataclass(frozen=True)
class Candidates:
    """M candidates of B images in one row, in pixels; images may have different numbers of them, or none."""

    boxes: Tensor  # [M, 4] xyxy
    scores: Tensor  # [M, C] probabilities
    image: Tensor  # int64 [M]: whose candidate it is
    sizes: Tensor  # [B, 2] height and width of each image, without padding
    keypoints: Tensor | None = None  # [M, K, 2]

    @classmethod
    def dense(cls, boxes: Tensor, scores: Tensor, sizes: Tensor, keypoints: Tensor | None = None) -> "Candidates":
        """Of images with equally many: boxes [B, N, 4], scores [B, N, C], keypoints [B, N, K, 2] or None."""
        images, count = scores.shape[:2]
        image = torch.arange(images, device=scores.device).repeat_interleave(count)
        points = None if keypoints is None else keypoints.flatten(0, 1)
        return cls(boxes.flatten(0, 1), scores.flatten(0, 1), image, sizes, points)

    @classmethod
    def joined(cls, parts: Sequence["Candidates"]) -> "Candidates":
        """All candidates that several looks at the same images gave."""
        points = [part.keypoints for part in parts if part.keypoints is not None]
        return replace(
            parts[0],
            boxes=torch.cat([part.boxes for part in parts]),
            scores=torch.cat([part.scores for part in parts]),
            image=torch.cat([part.image for part in parts]),
            keypoints=torch.cat(points) if points else None,
        )

    def select(self, index: Tensor) -> "Candidates":
        """The candidates at `index` (int64 [m] or bool [M]), in its order."""
        points = None if self.keypoints is None else self.keypoints[index]
        return replace(
            self, boxes=self.boxes[index], scores=self.scores[index], image=self.image[index], keypoints=points
        )
