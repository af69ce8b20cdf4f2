"""RetinaNet's head with an IoU branch beside the boxes.

Papers: Focal Loss (arXiv 1708.02002) for the two towers; IoU-aware Single-stage Object Detector (arXiv 1912.05992) for
the branch, as TinaFace (arXiv 2011.13183) uses it. Consulted: vedadet, `IoUAwareRetinaHead`. Towers are shared by all
levels, their norms too, batch norm included.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from bench.errors import ConfigError
from bench.heads.outputs import HeadOutputs
from bench.layers.convolution import conv_norm
from bench.layers.norm import Norm
from bench.layers.prior import prior_bias


class IoUAwareHead(nn.Module):
    """Pyramid maps [B, C, H, W] -> class logits, encoded boxes and, from the boxes' tower, logits of their IoU.

    Args:
        in_channels: width of each pyramid level, all alike.
        anchors_per_cell: anchors of each level, all alike.
        channels, depth: width and layers of each tower.
        iou_branch: False leaves RetinaNet's head.
        prior: class score that every anchor starts with; boxes start as their anchors, IoUs at a half.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        anchors_per_cell: Sequence[int],
        num_classes: int = 1,
        channels: int = 256,
        depth: int = 4,
        norm: Norm = "batch",
        groups: int = 32,
        iou_branch: bool = True,
        prior: float = 0.01,
    ) -> None:
        super().__init__()
        if len(set(in_channels)) != 1 or len(set(anchors_per_cell)) != 1:
            raise ConfigError(
                "IoUAwareHead is shared by all levels: expected equal channels and equal anchors on each, found "
                f"{tuple(in_channels)} and {tuple(anchors_per_cell)}"
            )
        anchors = anchors_per_cell[0]
        self.cls_tower, self.bbox_tower = (tower(in_channels[0], channels, depth, norm, groups) for _ in range(2))
        self.cls = nn.Conv2d(channels, anchors * num_classes, 3, padding=1)
        self.bbox = nn.Conv2d(channels, anchors * 4, 3, padding=1)
        self.iou = nn.Conv2d(channels, anchors, 3, padding=1) if iou_branch else None
        nn.init.normal_(self.cls.weight, std=0.01)
        nn.init.constant_(self.cls.bias, prior_bias(prior))  # type: ignore[arg-type]
        for predictor in (self.bbox, self.iou):
            for parameter in () if predictor is None else predictor.parameters():
                nn.init.zeros_(parameter)

    def forward(self, features: Sequence[Tensor]) -> HeadOutputs:
        boxes = [self.bbox_tower(x) for x in features]
        return HeadOutputs(
            cls=[self.cls(self.cls_tower(x)) for x in features],
            bbox=[self.bbox(x) for x in boxes],
            iou=None if self.iou is None else [self.iou(x) for x in boxes],
        )


def tower(inputs: int, channels: int, depth: int, norm: Norm, groups: int) -> nn.Sequential:
    """`depth` layers of 3x3 convolution, norm and ReLU."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [*conv_norm(inputs if index == 0 else channels, channels, 3, norm, groups), nn.ReLU()]
        nn.init.normal_(layers[-3].weight, std=0.01)  # type: ignore[arg-type]
    return nn.Sequential(*layers)
