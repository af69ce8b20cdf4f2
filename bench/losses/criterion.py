"""The training criterion of every dense detector: assign, then a classification, a box, a keypoint and an IoU loss.

What differs between papers is handed in: the assigner, the coder, the losses, how positives are weighted (`score`
as in Generalized Focal Loss, `uniform` as in SSD) and the divisor that goes with it.

All images are worked on at once. Of one batch, with `alone` the sums of one image, this is

    for i in range(images):
        gt_index = assigner(anchors, boxes[i][~ignore[i]])  # an anchor's box, or none
        sums += alone(outputs[i], gt_index, targets[i])     # losses, positives (at least 1), weights of positives
    losses = sums / average_factor(positives or weights)

with one wait for the device, to learn how many anchors are positive, whatever the number of images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from bench.boxes.anchors import Anchors
from bench.boxes.assigners.assignment import Assigner, assign_batch
from bench.boxes.coders import BoxCoder
from bench.boxes.iou import elementwise_iou
from bench.errors import ConfigError
from bench.losses.targets import Target, join_targets


class ClassificationLoss(Protocol):
    @property
    def quality_targets(self) -> bool: ...
    def __call__(self, logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor: ...


class BoxLoss(Protocol):
    @property
    def decoded(self) -> bool: ...
    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor: ...


class KeypointLoss(Protocol):
    def __call__(self, predicted: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor: ...


class IoULoss(Protocol):
    def __call__(self, logits: Tensor, ious: Tensor) -> Tensor: ...


@dataclass
class FlatOutputs:
    """A head's outputs for a batch, flattened over levels in the order of the anchors."""

    logits: Tensor  # [B, N, C]
    deltas: Tensor  # [B, N, 4]
    keypoints: Tensor | None  # [B, N, 2K]
    ious: Tensor | None = None  # [B, N] logits of the box's IoU


@dataclass
class Positives:
    """Positive anchors of the whole batch and what they are matched to."""

    image: Tensor  # [P]
    anchor: Tensor  # [P]
    boxes: Tensor  # [P, 4]
    labels: Tensor  # [P]
    keypoints: Tensor  # [P, K, 3]
    per_image: Tensor  # [B]


def reduce_mean(value: Tensor) -> Tensor:
    """The mean over processes; the value itself in a single process."""
    if not (dist.is_available() and dist.is_initialized()):
        return value
    value = value.clone() / dist.get_world_size()
    dist.all_reduce(value)
    return value


def average_factor(value: Tensor, least: float) -> Tensor:
    """What a sum of losses is divided by: `value`, a sum over images, as the mean over processes, or `least`."""
    return reduce_mean(value).clamp(min=least)


@dataclass(frozen=True)
class DenseCriterion:
    """
    Args:
        kps_loss, iou_loss: take part where the head predicts what they are for.
        bbox_weighting: "score" weights positives with their detached class score and divides by the sum of these
            weights; "uniform" divides by the number of positives, an image without any counting as one.
        keypoint_map: for every keypoint of the detector, the labelled landmarks whose mean it is; an empty entry is
            never trained (MediaPipe's ears in data with five landmarks). None takes the landmarks as they are.

    Keypoints that are not labelled are left out one by one. SCRFD's code weights a whole face with the fraction of its
    labelled landmarks instead, the same on WIDER FACE, where a face has all five or none.
    """

    assigner: Assigner
    coder: BoxCoder
    cls_loss: ClassificationLoss
    bbox_loss: BoxLoss
    kps_loss: KeypointLoss | None = None
    bbox_weighting: Literal["score", "uniform"] = "score"
    keypoint_map: Sequence[Sequence[int]] | None = None
    iou_loss: IoULoss | None = None

    def __call__(self, flat: FlatOutputs, anchors: Anchors, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Losses by name ("loss_cls", "loss_bbox", "loss_kps", "loss_iou"), scalars whose plain sum is trained."""
        positives, valid = self.match(anchors, targets, flat.logits.device)
        chosen = anchors.select(positives.anchor)
        deltas = flat.deltas[positives.image, positives.anchor].float()  # [P, 4]
        decoded = self.coder.decode(chosen, deltas)  # [P, 4]

        reached = elementwise_iou(decoded.detach(), positives.boxes)  # [P]
        quality = reached if self.cls_loss.quality_targets else torch.ones_like(reached)
        wanted = torch.zeros_like(flat.logits, dtype=torch.float32)
        wanted[positives.image, positives.anchor, positives.labels] = quality
        count = average_factor(positives.per_image.clamp(min=1).sum().float(), least=1.0)
        losses = {"loss_cls": self.cls_loss(flat.logits.float(), wanted, valid) / count}

        weights, divisor = self.weigh(flat.logits, positives, count)
        if self.bbox_loss.decoded:
            unit = chosen.strides[:, None]
            per_box = self.bbox_loss(decoded / unit, positives.boxes / unit)
        else:
            per_box = self.bbox_loss(deltas, self.coder.encode(chosen, positives.boxes))
        losses["loss_bbox"] = (per_box * weights).sum() / divisor

        if self.kps_loss is not None and flat.keypoints is not None:
            points = flat.keypoints[positives.image, positives.anchor].float()  # [P, 2K]
            aims, visible = self.keypoint_targets(positives.keypoints)  # [P, K, 2], [P, K]
            if 2 * visible.shape[1] != points.shape[1]:
                raise ConfigError(
                    f"the detector has {points.shape[1] // 2} keypoints, the data gives it {visible.shape[1]}; "
                    "set the head's num_keypoints, or the criterion's keypoint_map"
                )
            mask = visible.repeat_interleave(2, dim=1)
            per_face = self.kps_loss(points, self.coder.encode_keypoints(chosen, aims), mask)
            losses["loss_kps"] = (per_face * weights).sum() / divisor

        if self.iou_loss is not None and flat.ious is not None:
            per_box = self.iou_loss(flat.ious[positives.image, positives.anchor].float(), reached)
            losses["loss_iou"] = (per_box * weights).sum() / divisor
        return losses

    @torch.no_grad()
    def match(self, anchors: Anchors, targets: Sequence[Target], device: torch.device) -> tuple[Positives, Tensor]:
        """Assign all images; ignored boxes take no part. Also [B, N] bool: anchors that count."""
        joined = join_targets(targets, device)
        assignment = assign_batch(self.assigner, anchors, joined.boxes)  # [B, N]
        image, anchor = assignment.positive.nonzero(as_tuple=True)  # [P] each; here the device is waited for
        box = assignment.gt_index[image, anchor]  # [P]
        matched = joined.boxes.boxes[box], joined.labels[box], joined.keypoints[box]
        return Positives(image, anchor, *matched, assignment.positive.sum(1)), ~assignment.ignored

    def weigh(self, logits: Tensor, positives: Positives, count: Tensor) -> tuple[Tensor, Tensor]:
        """The weight of every positive [P], and the divisor of the box and keypoint losses."""
        if self.bbox_weighting == "uniform":
            return torch.ones_like(positives.boxes[:, 0]), count
        weights = logits.detach()[positives.image, positives.anchor].float().sigmoid().amax(dim=-1)  # [P]
        # Upstream divides by this sum as it is, zero in a batch without positives. The floor must lie below any score:
        # where the classifier has given up every positive, their boxes still have to be trained.
        return weights, average_factor(weights.sum(), least=torch.finfo(weights.dtype).tiny)

    def keypoint_targets(self, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Landmarks [P, L, 3] -> the detector's keypoints [P, K, 2] and whether each is labelled [P, K]."""
        if self.keypoint_map is None:
            return labelled[..., :2], (labelled[..., 2] > 0).float()
        places, seen = labelled[..., :2].unbind(1), (labelled[..., 2] > 0).unbind(1)  # [P, 2], [P] each
        nowhere, never = torch.zeros_like(labelled[:, 0, :2]), torch.zeros_like(labelled[:, 0, 2], dtype=torch.bool)
        points, visible = [], []
        for sources in self.keypoint_map:
            points.append(torch.stack([places[source] for source in sources]).mean(0) if sources else nowhere)
            visible.append(torch.stack([seen[source] for source in sources]).all(0) if sources else never)
        return torch.stack(points, 1), torch.stack(visible, 1).float()
