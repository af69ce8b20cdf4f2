"""What goes from one stage of a cascade to the next, and the arithmetic on its boxes.

Boxes are the authors': corners are numbers of pixels counted from 1, and both belong to the box. Its sides are hence
x2 - x1 + 1; the first stage's calibration leaves the 1 out, as in the released code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.ops import nms

from bench.boxes.suppression.detections import Detections
from bench.boxes.suppression.rounds import REMOVED, Rows, greedy_rounds
from bench.detectors.cascade.networks import LANDMARKS, StageOutputs


@dataclass(frozen=True)
class Proposals:
    """M boxes of several images, with what the last network said of them."""

    boxes: Tensor  # float32 [M, 4] xyxy, from 1, both corners inside
    scores: Tensor  # [M]
    image: Tensor  # int64 [M]: whose box it is
    offsets: Tensor  # [M, 4] of the edges, in sides of the box
    landmarks: Tensor | None = None  # [M, 10] in 0..1 of the box
    keypoints: Tensor | None = None  # [M, 5, 2] in pixels, of finished detections

    @classmethod
    def none(cls, device: torch.device) -> "Proposals":
        empty = torch.zeros((0, 4), device=device)
        return cls(empty, empty[:, 0], torch.zeros(0, dtype=torch.int64, device=device), empty)

    @classmethod
    def joined(cls, parts: Sequence["Proposals"]) -> "Proposals":
        """One after the other; the first stage's, which have no landmarks."""
        values = zip(*((part.boxes, part.scores, part.image, part.offsets) for part in parts), strict=True)
        return cls(*(torch.cat(value) for value in values))

    def select(self, index: Tensor) -> "Proposals":
        """Those at `index` (int64 [m] or bool [M]), in its order."""
        landmarks = None if self.landmarks is None else self.landmarks[index]
        return Proposals(self.boxes[index], self.scores[index], self.image[index], self.offsets[index], landmarks)

    def scored(self, outputs: StageOutputs) -> "Proposals":
        """The same boxes with what a network says of them."""
        landmarks = None if outputs.landmarks is None else outputs.landmarks.float()
        return replace(self, scores=outputs.scores(), offsets=outputs.offsets.float(), landmarks=landmarks)

    def calibrated(self, pixel: float) -> "Proposals":
        """Edges moved by their offsets; sides are corner differences plus `pixel`."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2] + pixel
        return replace(self, boxes=self.boxes + self.offsets * sides.repeat(1, 2))

    def squared(self) -> "Proposals":
        """The longer side on both axes around the same centre."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]  # [M, 2]
        longer = sides.max(dim=1, keepdim=True).values
        corner = self.boxes[:, :2] + sides * 0.5 - longer * 0.5
        return replace(self, boxes=torch.cat([corner, corner + longer], dim=1))

    def suppressed(self, threshold: float, pixel: float) -> "Proposals":
        """Of boxes of one image with IoU above `threshold` the best stays; `pixel` as in `pairwise_iou`."""
        order = self.image.argsort(stable=True)
        counts = torch.unique_consecutive(self.image[order], return_counts=True)[1].tolist()
        corners = self.boxes + self.boxes.new_tensor([0.0, 0.0, pixel, pixel])
        kept = [index[nms(corners[index], self.scores[index], threshold)] for index in torch.split(order, counts)]
        return self.select(torch.cat(kept)) if kept else self

    def survivors_by_smaller(self, threshold: float) -> Tensor:
        """Indices of what stays when the overlap is taken over the smaller area, by pixels: a box inside another goes.

        Of equal scores the later wins, as in both released codes: two boxes of one crop have the same.
        """

        def step(rows: Rows, column: Tensor) -> Tensor:
            one = rows.corners.gather(2, column.expand(4, -1, 1))  # [4, R, 1]
            return rows.scores.masked_fill(overlap_of_smaller(rows.corners, one) > threshold, REMOVED)

        backwards = Detections(self.boxes.flip(0), self.scores.flip(0), self.image.flip(0))
        return len(self.scores) - 1 - greedy_rounds(backwards, step)[0]


def overlap_of_smaller(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over the smaller area, of corners [4, ...] counted with both pixels."""
    low, high = torch.maximum(boxes[:2], others[:2]), torch.minimum(boxes[2:], others[2:])
    width, height = (high - low + 1).clamp(min=0)
    areas = [(x[2] - x[0] + 1) * (x[3] - x[1] + 1) for x in (boxes, others)]
    return width * height / torch.minimum(*areas).clamp(min=1e-12)


def proposals_of_level(
    outputs: StageOutputs, scale: float, threshold: float, image: Tensor, window: int, stride: int
) -> Proposals:
    """The cells of P-Net's maps [B, ., h, w] that reach the threshold, as windows of the images [B] at a scale."""
    scores = outputs.scores()
    which, row, column = (scores >= threshold).nonzero(as_tuple=True)
    corner = torch.stack([column, row], dim=1) * stride
    boxes = torch.cat([((corner + 1) / scale).trunc(), ((corner + window) / scale).trunc()], dim=1)
    offsets = outputs.offsets[which, :, row, column].float()
    return Proposals(boxes, scores[which, row, column], image[which], offsets)


def mirrored_landmarks(landmarks: Tensor) -> Tensor:
    """Landmarks [M, 10] of mirrored windows in the windows themselves: eyes and corners of the mouth change places."""
    x, y = landmarks.view(-1, 2, LANDMARKS).unbind(1)
    swap = [1, 0, 2, 4, 3]
    return torch.cat([1 - x[:, swap], y[:, swap]], dim=1)


def keypoints_of(boxes: Tensor, landmarks: Tensor) -> Tensor:
    """Landmarks [M, 10] in 0..1 of boxes [M, 4] from 1 -> x, y in continuous pixels from 0, [M, 5, 2]."""
    points = landmarks.view(-1, 2, LANDMARKS).transpose(1, 2)
    return points * (boxes[:, 2:] - boxes[:, :2] + 1)[:, None] + boxes[:, None, :2] - 1
