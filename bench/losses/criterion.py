"""The training criterion of every dense detector: assign, then a classification, a box, a keypoint and an IoU loss.

What differs between papers is handed in: the assigner, the coder, the losses, how positives are weighted (`score`
as in Generalized Focal Loss, `uniform` as in SSD) and the divisor that goes with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from bench.boxes.anchors import Anchors
from bench.boxes.assignment import IGNORED, Assignment
from bench.boxes.iou import elementwise_iou
from bench.errors import ConfigError

Target = Mapping[str, Any]


class Assigner(Protocol):
    def __call__(self, anchors: Anchors, boxes: Tensor) -> Assignment: ...


class BoxCoder(Protocol):
    def encode(self, anchors: Anchors, boxes: Tensor) -> Tensor: ...
    def decode(self, anchors: Anchors, deltas: Tensor) -> Tensor: ...
    def encode_keypoints(self, anchors: Anchors, keypoints: Tensor) -> Tensor: ...
    def decode_keypoints(self, anchors: Anchors, deltas: Tensor) -> Tensor: ...


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
        count = reduce_mean(positives.per_image.clamp(min=1).sum().float()).clamp(min=1.0)
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

    def match(self, anchors: Anchors, targets: Sequence[Target], device: torch.device) -> tuple[Positives, Tensor]:
        """Assign every image by itself; ignored boxes take no part. Also [B, N] bool: anchors that count."""
        rows: list[tuple[Tensor, ...]] = []
        valid, counts = [], []
        for image, target in enumerate(targets):
            used = ~target["ignore"]
            boxes, labels, keypoints = (target[key][used].to(device) for key in ("boxes", "labels", "keypoints"))
            gt_index = self.assigner(anchors, boxes).gt_index  # [N]
            anchor = (gt_index >= 0).nonzero().squeeze(1)
            matched = gt_index[anchor]
            rows.append((torch.full_like(anchor, image), anchor, boxes[matched], labels[matched], keypoints[matched]))
            valid.append(gt_index != IGNORED)
            counts.append(anchor.numel())
        columns = [torch.cat(column) for column in zip(*rows, strict=True)]
        columns.append(torch.tensor(counts, device=device))
        return Positives(*columns), torch.stack(valid)

    def weigh(self, logits: Tensor, positives: Positives, count: Tensor) -> tuple[Tensor, Tensor]:
        """The weight of every positive [P], and the divisor of the box and keypoint losses."""
        if self.bbox_weighting == "uniform":
            return torch.ones_like(positives.boxes[:, 0]), count
        weights = logits.detach()[positives.image, positives.anchor].float().sigmoid().amax(dim=-1)  # [P]
        # Upstream divides by this sum as it is, zero in a batch without positives. The floor must lie below any score:
        # where the classifier has given up every positive, their boxes still have to be trained.
        return weights, reduce_mean(weights.sum()).clamp(min=torch.finfo(weights.dtype).tiny)

    def keypoint_targets(self, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Landmarks [P, L, 3] -> the detector's keypoints [P, K, 2] and whether each is labelled [P, K]."""
        if self.keypoint_map is None:
            return labelled[..., :2], (labelled[..., 2] > 0).float()
        points, visible = [], []
        for sources in self.keypoint_map:
            part = labelled[:, list(sources)]  # [P, S, 3]
            points.append(part[..., :2].sum(1) / max(len(sources), 1))
            visible.append((part[..., 2] > 0).all(1).float() if sources else torch.zeros(len(part), device=part.device))
        return torch.stack(points, 1), torch.stack(visible, 1)
