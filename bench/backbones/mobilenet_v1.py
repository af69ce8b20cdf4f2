"""MobileNet-V1 with free widths and depths: depthwise-separable blocks without residuals.

Paper: SCRFD (arXiv 2105.04714), the mobile regime; blocks after MobileNets (arXiv 1704.04861). Consulted: insightface,
detection/scrfd, `MobileNetV1`. The stem is a strided 3x3 convolution and one separable block; each stage opens with
stride 2.
"""

from collections.abc import Sequence

from torch import Tensor, nn


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


class MobileNetV1(nn.Module):
    """Four stages C2..C5 at strides 4, 8, 16, 32.

    Args:
        depths: blocks of each of the four stages.
        widths: six widths: the stem's two, then one per stage.
    """

    strides = (4, 8, 16, 32)

    def __init__(self, depths: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        first, second, *stage_widths = widths
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            separable(first, second),
        )
        stages, inputs = [], second
        for depth, width in zip(depths, stage_widths, strict=True):
            blocks = [separable(inputs, width, stride=2)]
            blocks += [separable(width, width) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            inputs = width
        self.c2, self.c3, self.c4, self.c5 = stages
        self.out_channels = tuple(stage_widths)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def components(self) -> dict[str, nn.Module]:
        return {"stem": self.stem, "c2": self.c2, "c3": self.c3, "c4": self.c4, "c5": self.c5}

    def forward(self, images: Tensor) -> list[Tensor]:
        """images [B, 3, H, W] -> four maps [B, C, H / stride, W / stride]."""
        features = [self.c2(self.stem(images))]
        for stage in (self.c3, self.c4, self.c5):
            features.append(stage(features[-1]))
        return features
