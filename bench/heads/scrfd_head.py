"""SCRFD's head: one tower feeds class, box and keypoint predictors.

Paper: arXiv 2105.04714. Consulted: insightface, detection/scrfd, `SCRFDHead`. Variants of the released configs are
arguments: group norm shared over strides (plain models), batch norm and separate heads (the keypoint models),
depthwise-separable towers (0.5 and 1 GF). The learnable scale multiplies the box output alone, raw: no exp, no ReLU.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.heads.outputs import HeadOutputs
from bench.layers.convolution import conv_norm
from bench.layers.norm import Norm
from bench.layers.prior import prior_bias
from bench.layers.separable import separable


class Tower(nn.Module):
    """`depth` layers of convolution, norm and ReLU, then the 3x3 predictors."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        depth: int,
        anchors: int,
        num_classes: int,
        num_keypoints: int,
        depthwise: bool,
        norm: Norm,
        groups: int,
        prior: float,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(depth):
            inputs = in_channels if index == 0 else channels
            if depthwise:
                layers += separable(inputs, channels, norm=norm, groups=groups)
            else:
                layers += [*conv_norm(inputs, channels, 3, norm, groups), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.cls = nn.Conv2d(channels, anchors * num_classes, 3, padding=1)
        self.bbox = nn.Conv2d(channels, anchors * 4, 3, padding=1)
        self.kps = nn.Conv2d(channels, anchors * 2 * num_keypoints, 3, padding=1) if num_keypoints else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.constant_(self.cls.bias, prior_bias(prior))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        x = self.layers(x)
        return self.cls(x), self.bbox(x), None if self.kps is None else self.kps(x)


class SCRFDHead(nn.Module):
    """Pyramid maps [B, C, H, W] -> class logits [B, A K, H, W], boxes [B, A 4, H, W], keypoints [B, A 2P, H, W].

    Args:
        in_channels: width of each pyramid level.
        anchors_per_cell: anchors of each level.
        channels: width of the tower.
        depth: layers of the tower.
        num_keypoints: 0 builds no keypoint predictor.
        depthwise: depthwise-separable tower; predictors stay ordinary 3x3 convolutions.
        norm: "group" (with `groups`) or "batch".
        shared: one tower for every stride, or one each.
        scale: learnable factor per level on the box output.
        prior: probability every anchor starts with.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        anchors_per_cell: Sequence[int],
        channels: int,
        depth: int = 2,
        num_classes: int = 1,
        num_keypoints: int = 0,
        depthwise: bool = False,
        norm: Norm = "group",
        groups: int = 16,
        shared: bool = True,
        scale: bool = True,
        prior: float = 0.01,
    ) -> None:
        super().__init__()
        count = 1 if shared else len(in_channels)
        self.towers = nn.ModuleList(
            Tower(width, channels, depth, anchors, num_classes, num_keypoints, depthwise, norm, groups, prior)
            for width, anchors in list(zip(in_channels, anchors_per_cell, strict=True))[:count]
        )
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(())) for _ in in_channels) if scale else None

    def forward(self, features: Sequence[Tensor]) -> HeadOutputs:
        cls, bbox, kps = [], [], []
        for level, x in enumerate(features):
            logits, deltas, points = self.towers[level if len(self.towers) > 1 else 0](x)
            cls.append(logits)
            bbox.append(deltas if self.scales is None else deltas * self.scales[level])
            if points is not None:
                kps.append(points)
        return HeadOutputs(cls, bbox, kps or None)
