"""The criterion image by image, as it stood before batches were worked on at once: the oracle of test_batches.

Assigners, losses and the criterion are written out with loops over images and boolean indexing; formulas of boxes and
coders, which know no images, are the suite's own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.boxes import ATSSAssigner, MaxIoUAssigner
from bench.boxes.anchors import Anchors
from bench.boxes.iou import elementwise_iou, pairwise_iou
from bench.losses.criterion import DenseCriterion, FlatOutputs
from bench.losses.focal import FocalLoss
from bench.losses.hard_negative_bce import HardNegativeBCE
from bench.losses.quality_focal import QualityFocalLoss


@pytest.fixture
def plain_assigned() -> Callable[..., tuple[Tensor, Tensor]]:
    return assigned


@pytest.fixture
def plain_losses() -> Callable[..., dict[str, Tensor]]:
    return losses_of


def losses_of(
    criterion: DenseCriterion, flat: FlatOutputs, anchors: Anchors, targets: Sequence[dict[str, Any]]
) -> dict[str, Tensor]:
    """What `criterion(flat, anchors, targets)` is to give."""
    indices = [assigned(criterion.assigner, anchors, target["boxes"][~target["ignore"]])[0] for target in targets]
    positives = [int((index >= 0).sum()) for index in indices]
    cls, bbox, kps, iou, weight_sum = (torch.zeros(()) for _ in range(5))
    for image, (index, target) in enumerate(zip(indices, targets, strict=True)):
        used = ~target["ignore"]
        boxes, labels, keypoints = (target[key][used] for key in ("boxes", "labels", "keypoints"))
        anchor = (index >= 0).nonzero().squeeze(1)
        boxes, labels, keypoints = (values[index[anchor]] for values in (boxes, labels, keypoints))
        chosen, deltas = anchors.select(anchor), flat.deltas[image][anchor]
        decoded = criterion.coder.decode(chosen, deltas)
        reached = elementwise_iou(decoded.detach(), boxes)
        wanted = torch.zeros_like(flat.logits[image])
        wanted[anchor, labels] = reached if criterion.cls_loss.quality_targets else torch.ones_like(reached)
        cls = cls + classification(criterion.cls_loss, flat.logits[image], wanted, index != -2)
        weights = torch.ones_like(reached)
        if criterion.bbox_weighting == "score":
            weights = flat.logits[image].detach()[anchor].sigmoid().amax(dim=-1)
        weight_sum = weight_sum + weights.sum()
        unit = chosen.strides[:, None]
        if criterion.bbox_loss.decoded:
            per_box = criterion.bbox_loss(decoded / unit, boxes / unit)
        else:
            per_box = criterion.bbox_loss(deltas, criterion.coder.encode(chosen, boxes))
        bbox = bbox + (per_box * weights).sum()
        if criterion.kps_loss is not None and flat.keypoints is not None:
            aims, visible = criterion.keypoint_targets(keypoints)
            mask, aims = visible.repeat_interleave(2, dim=1), criterion.coder.encode_keypoints(chosen, aims)
            kps = kps + (criterion.kps_loss(flat.keypoints[image][anchor], aims, mask) * weights).sum()
        if criterion.iou_loss is not None and flat.ious is not None:
            iou = iou + (criterion.iou_loss(flat.ious[image][anchor], reached) * weights).sum()
    count = float(sum(max(number, 1) for number in positives))
    divisor = weight_sum.clamp(min=torch.finfo(torch.float32).tiny) if criterion.bbox_weighting == "score" else count
    losses = {"loss_cls": cls / count, "loss_bbox": bbox / divisor}
    if criterion.kps_loss is not None and flat.keypoints is not None:
        losses["loss_kps"] = kps / divisor
    if criterion.iou_loss is not None and flat.ious is not None:
        losses["loss_iou"] = iou / divisor
    return losses


def classification(loss: Any, logits: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Of one image: logits, targets [N, C], valid [N] bool."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    missing = (targets - logits.sigmoid()).abs()
    if isinstance(loss, QualityFocalLoss):
        return loss.weight * (entropy * missing**loss.beta)[valid].sum()
    if isinstance(loss, FocalLoss):
        balance = loss.alpha * targets + (1 - loss.alpha) * (1 - targets)
        return loss.weight * (entropy * balance * missing**loss.gamma)[valid].sum()
    assert isinstance(loss, HardNegativeBCE)
    entropy, positive = entropy.sum(-1), (targets > 0).any(-1) & valid
    negatives = entropy[valid & ~positive].sort(descending=True).values
    kept = max(int(positive.sum() * loss.ratio), loss.minimum)
    return loss.weight * (entropy[positive].sum() + negatives[:kept].sum())


def assigned(assigner: Any, anchors: Anchors, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """gt_index and IoU [N] of one image with boxes [G, 4]."""
    if len(boxes) == 0:
        return torch.full((len(anchors),), -1), torch.zeros(len(anchors))
    if isinstance(assigner, ATSSAssigner):
        return atss(assigner.topk, anchors, boxes)
    assert isinstance(assigner, MaxIoUAssigner)
    return max_iou(assigner, anchors, boxes)


def atss(topk: int, anchors: Anchors, boxes: Tensor) -> tuple[Tensor, Tensor]:
    gt_index, best = torch.full((len(anchors),), -1), torch.zeros(len(anchors))
    for g, box in enumerate(boxes):
        candidates, first = [], 0
        for size in anchors.level_sizes:
            distance = (anchors.centers[first : first + size] - (box[:2] + box[2:]) / 2).square().sum(1)
            candidates.append(first + distance.argsort(stable=True)[:topk])
            first += size
        index = torch.cat(candidates)
        iou = elementwise_iou(anchors.boxes[index], box)
        x, y = anchors.centers[index].T
        edges = torch.stack([x - box[0], y - box[1], box[2] - x, box[3] - y]).amin(0)
        side = ((box[2] - box[0]) * (box[3] - box[1])).clamp(min=1e-4).sqrt()
        claims = (iou >= iou.mean() + iou.std()) & (edges / side > 0.001) & (iou > best[index])
        gt_index[index[claims]], best[index[claims]] = g, iou[claims]
    return gt_index, best


def max_iou(assigner: MaxIoUAssigner, anchors: Anchors, boxes: Tensor) -> tuple[Tensor, Tensor]:
    iou = pairwise_iou(boxes, anchors.boxes)  # [G, N]
    best, gt_index = iou.max(dim=0)
    gt_index[best < assigner.positive] = -2
    gt_index[best < assigner.negative] = -1
    claims = [g for g in range(len(boxes)) if iou[g].max() > 0 and iou[g].max() >= assigner.min_positive]
    if assigner.match_low_quality == "best_anchor":
        for g in reversed(claims):  # the lower index has the last word
            gt_index[iou[g].argmax()], best[iou[g].argmax()] = g, iou[g].max()
    if assigner.match_low_quality == "ties":
        for g in claims:
            reached = iou[g] == iou[g].max()
            gt_index[reached], best[reached] = g, iou[g].max()
    best[gt_index < 0] = 0.0
    return gt_index, best
