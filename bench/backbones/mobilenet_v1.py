"""MobileNet-V1 with free widths and depths: depthwise-separable blocks without residuals.

Paper: SCRFD (arXiv 2105.04714), the mobile regime; blocks after MobileNets (arXiv 1704.04861). Consulted: insightface,
detection/scrfd, `MobileNetV1`. The stem is a strided 3x3 convolution and one separable block; each stage opens with
stride 2.
"""

from collections.abc import Sequence

from torch import nn

from bench.backbones.stages import FourStages, build_stages
from bench.layers.convolution import conv_norm
from bench.layers.initialisation import kaiming
from bench.layers.separable import separable


class MobileNetV1(FourStages):
    """Four stages of separable blocks, trained from scratch.

    Args:
        depths: blocks of each of the four stages.
        widths: six widths: the stem's two, then one per stage.
    """

    def __init__(self, depths: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        first, second, *stage_widths = widths
        self.stem = nn.Sequential(*conv_norm(3, first, 3, stride=2), nn.ReLU(), separable(first, second))
        self.c2, self.c3, self.c4, self.c5 = build_stages(separable, second, depths, stage_widths, (2, 2, 2, 2))
        self.out_channels = tuple(stage_widths)
        kaiming(self)
