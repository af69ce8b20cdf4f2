"""One-stage detectors: backbone, neck, head over anchors; each part is handed in by configuration."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.boxes.anchors import AnchorGenerator, Anchors
from bench.boxes.coders import BoxCoder
from bench.detectors.base import Detector
from bench.detectors.candidates import Candidates
from bench.heads.outputs import HeadOutputs
from bench.losses.criterion import DenseCriterion, FlatOutputs


class DenseDetector(Detector):
    """
    Args:
        backbone: module with `out_channels`; images -> feature maps.
        neck: called with the backbone's `out_channels`, builds a module with `out_channels`; None passes features on.
        head: called with the neck's `out_channels` and the anchors per cell, builds the head.
        anchors: where the anchors stand.
        coder: between anchors and boxes.
        criterion: called with the coder, builds the training criterion.
        num_classes: class scores per anchor.
        score_fusion: from class scores and the IoUs that the head expects to scores; None, or a head without an IoU
            branch, leaves the class scores. From the YAML's `inference`, as everything that shapes candidates alone.
        options: what `Detector` takes.
    """

    def __init__(
        self,
        backbone: nn.Module,
        neck: Any,
        head: Any,
        anchors: AnchorGenerator,
        coder: BoxCoder,
        criterion: Any,
        num_classes: int = 1,
        score_fusion: Callable[[Tensor, Tensor], Tensor] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.backbone = backbone
        self.neck: nn.Module = neck(backbone.out_channels) if neck is not None else nn.Identity()
        channels = backbone.out_channels if neck is None else self.neck.out_channels
        self.head: nn.Module = head(channels, anchors.per_cell, num_classes=num_classes)
        self.anchors = anchors
        self.coder = coder
        self.criterion: DenseCriterion = criterion(coder=coder)
        self.num_classes = num_classes
        self.score_fusion = score_fusion

    def backbone_components(self) -> tuple[str, ...]:
        return tuple(name for name in self.backbone.components() if name in self.components())  # type: ignore[operator]

    def components(self) -> dict[str, nn.Module]:
        parts: dict[str, nn.Module] = {**self.backbone.components(), "neck": self.neck, "head": self.head}  # type: ignore[operator]
        return {name: part for name, part in parts.items() if any(True for _ in part.parameters())}

    def forward(self, images: Tensor) -> HeadOutputs:
        """images [B, 3, H, W] normalised -> what the head predicts on every level."""
        return self.head(self.neck(self.backbone(images)))

    def flatten(self, outputs: HeadOutputs) -> tuple[FlatOutputs, Anchors]:
        """Per-level maps -> [B, N, values] in the order of the anchors, and these."""
        cls, bbox, kps, iou = outputs
        size = (cls[0].shape[-2] * self.anchors.strides[0], cls[0].shape[-1] * self.anchors.strides[0])
        anchors = self.anchors(size, cls[0].device)
        return FlatOutputs(
            self.join(cls, self.num_classes),
            self.join(bbox, 4),
            None if kps is None else self.join(kps, kps[0].shape[1] // self.anchors.per_cell[0]),
            None if iou is None else self.join(iou, 1).squeeze(-1),
        ), anchors

    def join(self, maps: Sequence[Tensor], values: int) -> Tensor:
        """[B, A V, H, W] per level -> [B, N, V]: rows, columns, anchors."""
        return torch.cat([rows(x, values) for x in maps], dim=1)

    def candidates(self, outputs: HeadOutputs, sizes: Tensor) -> Candidates:
        flat, anchors = self.flatten(outputs)
        keypoints = None if flat.keypoints is None else self.coder.decode_keypoints(anchors, flat.keypoints.float())
        scores = flat.logits.float().sigmoid()
        if self.score_fusion is not None and flat.ious is not None:
            scores = self.score_fusion(scores, flat.ious.float().sigmoid())
        return Candidates.dense(self.coder.decode(anchors, flat.deltas.float()), scores, sizes, keypoints)

    def check_exportable(self) -> None:
        """Every dense detector can be, as far as its layers can."""

    def graph_outputs(self, outputs: HeadOutputs) -> dict[str, Tensor]:
        """For each stride S: `score_S` [B, N, C] probabilities, `bbox_S` [B, N, 4] and `kps_S` [B, N, 2 K], coded."""
        counts = self.anchors.per_cell
        scores = [rows(x, self.num_classes).sigmoid() for x in outputs.cls]
        if self.score_fusion is not None and outputs.iou is not None:
            ious = [rows(x, 1).sigmoid().squeeze(-1) for x in outputs.iou]
            scores = [self.score_fusion(score, iou) for score, iou in zip(scores, ious, strict=True)]
        kps = outputs.kps or []
        points = [rows(x, int(x.shape[1]) // count) for x, count in zip(kps, counts, strict=False)]
        boxes = [rows(x, 4) for x in outputs.bbox]
        return {
            f"{kind}_{stride}": values
            for kind, levels in (("score", scores), ("bbox", boxes), ("kps", points))
            for stride, values in zip(self.anchors.strides, levels, strict=False)
        }

    def losses(self, outputs: HeadOutputs, targets: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        flat, anchors = self.flatten(outputs)
        return self.criterion(flat, anchors, targets)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Lightning's hook: nothing to do, for `prepare` moves the images, and the criterion all targets as one."""
        return batch


def rows(values: Tensor, width: int) -> Tensor:
    """[B, A * width, H, W] -> [B, H * W * A, width]"""
    return values.permute(0, 2, 3, 1).reshape(values.shape[0], -1, width)
