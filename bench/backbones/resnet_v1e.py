"""ResNet-V1e with free widths and depths: deep stem, average-pooled shortcuts, 2x2 max-pool.

Paper: Sample and Computation Redistribution for Efficient Face Detection (arXiv 2105.04714), the backbone whose
`depths` and `widths` are redistributed. Consulted: insightface, detection/scrfd, `ResNetV1e`. The paper's summary gives
all three stem convolutions the full width; the released code halves the first two, and only that reproduces the
published cost.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from bench.backbones.stages import FourStages, build_stages
from bench.layers.convolution import conv_norm
from bench.layers.initialisation import kaiming


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Identity where shapes agree, otherwise average pooling and a 1x1 projection ("avg_down")."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
    return nn.Sequential(pool, *conv_norm(inputs, outputs, 1))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(*conv_norm(inputs, width, 3, stride=stride), nn.ReLU(), *conv_norm(width, width, 3))
        self.shortcut = shortcut(inputs, width, stride)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride), 1x1 to four times the width, beside a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.body = nn.Sequential(
            *conv_norm(inputs, width, 1),
            nn.ReLU(),
            *conv_norm(width, width, 3, stride=stride),
            nn.ReLU(),
            *conv_norm(width, outputs, 1),
        )
        self.shortcut = shortcut(inputs, outputs, stride)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))


BLOCKS: dict[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


class ResNetV1e(FourStages):
    """Four stages of residual blocks, trained from scratch.

    Args:
        block: "basic" or "bottleneck".
        depths: blocks of each stage.
        widths: width of each stage, before the bottleneck's expansion.
        stem_width: channels that leave the stem; the first stage's width if None.
    """

    def __init__(
        self,
        block: Literal["basic", "bottleneck"],
        depths: Sequence[int],
        widths: Sequence[int],
        stem_width: int | None = None,
    ) -> None:
        super().__init__()
        kind = BLOCKS[block]
        stem = stem_width or widths[0]
        self.stem = nn.Sequential(
            *conv_norm(3, stem // 2, 3, stride=2),
            nn.ReLU(),
            *conv_norm(stem // 2, stem // 2, 3),
            nn.ReLU(),
            *conv_norm(stem // 2, stem, 3),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
        )
        self.out_channels = tuple(width * kind.expansion for width in widths)
        self.c2, self.c3, self.c4, self.c5 = build_stages(kind, stem, depths, widths, (1, 2, 2, 2), kind.expansion)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming for convolutions; the last norm of every residual branch starts at zero."""
        kaiming(self)
        for module in self.modules():
            if isinstance(module, BasicBlock | Bottleneck):
                nn.init.zeros_(module.body[-1].weight)  # type: ignore[arg-type]
