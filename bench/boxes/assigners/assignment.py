"""What an assigner is given and answers: which ground-truth box each anchor is to learn.

The boxes of a whole batch lie in one row, image after image, so that no image waits for another and a crowd costs what
its boxes cost. What a batched assigner answers is what this loop does, which is also how one of a single image is used:

    for i, boxes in enumerate(images):
        gt_index[i], iou[i] = assigner(anchors, boxes[~ignore])  # then counted among the boxes of the batch
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from bench.boxes.anchors import Anchors

NEGATIVE = -1
IGNORED = -2


@dataclass(frozen=True)
class Assignment:
    """Of N anchors to G ground-truth boxes; of a batch, of N anchors in every image to the M boxes of all images."""

    gt_index: Tensor  # int64 [N] or [B, N]: the box of a positive anchor, NEGATIVE or IGNORED
    iou: Tensor  # float [N] or [B, N]: IoU of a positive anchor with its box, 0 elsewhere

    @property
    def positive(self) -> Tensor:
        """bool [N] or [B, N]"""
        return self.gt_index >= 0

    @property
    def ignored(self) -> Tensor:
        """bool [N] or [B, N]: neither positive nor negative, to be left out of the loss."""
        return self.gt_index == IGNORED


@dataclass(frozen=True)
class BatchBoxes:
    """The M boxes of B images, image after image."""

    boxes: Tensor  # [M, 4] xyxy pixels
    image: Tensor  # int64 [M], ascending
    used: Tensor  # bool [M]: the others are matched to no anchor
    images: int  # B

    @classmethod
    def single(cls, boxes: Tensor) -> "BatchBoxes":
        """One image with boxes [G, 4], all of them used."""
        image = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        return cls(boxes, image, torch.ones_like(image, dtype=torch.bool), 1)


class Assigner(Protocol):
    """Assigns the anchors of one image to its boxes [G, 4]; G may be 0."""

    def __call__(self, anchors: Anchors, boxes: Tensor) -> Assignment: ...


@runtime_checkable
class BatchAssigner(Protocol):
    """Assigns the anchors of all images at once, equal to image by image."""

    def assign_batch(self, anchors: Anchors, batch: BatchBoxes) -> Assignment: ...


def assign_batch(assigner: Assigner, anchors: Anchors, batch: BatchBoxes) -> Assignment:
    """[B, N], by an assigner of batches at once, by one that knows a single image (a user's own) image by image."""
    if isinstance(assigner, BatchAssigner):
        return assigner.assign_batch(anchors, batch)
    return assign_image_by_image(assigner, anchors, batch)


def assign_image_by_image(assigner: Assigner, anchors: Anchors, batch: BatchBoxes) -> Assignment:
    """[B, N] by the plain loop, which waits for the device once or twice an image."""
    found = []
    for image in range(batch.images):
        rows = ((batch.image == image) & batch.used).nonzero().squeeze(1)  # [G]
        answer = assigner(anchors, batch.boxes[rows])
        gt_index = answer.gt_index.clone()
        gt_index[answer.positive] = rows[answer.gt_index[answer.positive]]
        found.append((gt_index, answer.iou))
    indices, ious = zip(*found, strict=True)
    return Assignment(torch.stack(indices), torch.stack(ious))


def only_image(assignment: Assignment) -> Assignment:
    """[1, N] of a batch of one -> [N]."""
    return Assignment(assignment.gt_index[0], assignment.iou[0])
