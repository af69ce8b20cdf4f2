"""TinaFace's inception block: receptive fields of 3, 5 and 7 pixels side by side, one set of weights for all levels.

Paper: TinaFace (arXiv 2011.13183), figure 2, after SSH's context module (arXiv 1708.03979). Consulted: vedadet,
`Inception`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.errors import ConfigError
from bench.layers.convolution import conv_norm
from bench.layers.initialisation import xavier
from bench.layers.norm import Norm


class Inception(nn.Module):
    """Maps [B, C, H, W] -> as many maps [B, C, H, W]: half of the channels see 3x3, a quarter 5x5, a quarter 7x7."""

    def __init__(self, in_channels: Sequence[int], norm: Norm = "batch", groups: int = 32) -> None:
        super().__init__()
        if len(set(in_channels)) != 1 or in_channels[0] % 4:
            raise ConfigError(
                f"Inception is shared by all levels: expected one width that four divides, found {tuple(in_channels)}"
            )
        width, quarter = in_channels[0], in_channels[0] // 4
        self.near = conv_norm(width, width // 2, 3, norm, groups)
        self.reduce = nn.Sequential(*conv_norm(width, quarter, 3, norm, groups), nn.ReLU())
        self.middle = conv_norm(quarter, quarter, 3, norm, groups)
        self.far = nn.Sequential(
            *conv_norm(quarter, quarter, 3, norm, groups), nn.ReLU(), *conv_norm(quarter, quarter, 3, norm, groups)
        )
        self.activation = nn.ReLU()
        self.out_channels = tuple(in_channels)
        xavier(self)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [self.level(x) for x in features]

    def level(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        return self.activation(torch.cat([self.near(x), self.middle(reduced), self.far(reduced)], dim=1))
