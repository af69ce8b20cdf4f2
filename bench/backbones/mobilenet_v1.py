"""MobileNet-V1 with free widths and depths: depthwise-separable blocks without residuals.

Paper: SCRFD (arXiv 2105.04714), the mobile regime; blocks after MobileNets (arXiv 1704.04861). Consulted: insightface,
detection/scrfd, `MobileNetV1`. The stem is a strided 3x3 convolution and one separable block; each stage opens with
stride 2.
"""

from collections.abc import Sequence

from torch import nn

from bench.backbones.stages import FourStages, build_stages, kaiming


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and pointwise 1x1, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class MobileNetV1(FourStages):
    """Four stages of separable blocks, trained from scratch.

    Args:
        depths: blocks of each of the four stages.
        widths: six widths: the stem's two, then one per stage.
    """

    def __init__(self, depths: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        first, second, *stage_widths = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            separable(first, second),
        )
        self.c2, self.c3, self.c4, self.c5 = build_stages(separable, second, depths, stage_widths, (2, 2, 2, 2))
        self.out_channels = tuple(stage_widths)
        kaiming(self)
