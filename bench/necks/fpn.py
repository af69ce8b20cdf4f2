"""Feature pyramid with extra levels, as TinaFace builds it: norms after every convolution, bilinear top-down pass.

Papers: Feature Pyramid Networks (arXiv 1612.03144); the extra levels are RetinaNet's (arXiv 1708.02002), from the last
backbone map. Consulted: vedadet, `FPN`. No activation anywhere, not even between the extra levels.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from bench.layers.convolution import conv_norm
from bench.layers.initialisation import xavier
from bench.layers.norm import Norm
from bench.necks.top_down import top_down


class FPN(nn.Module):
    """Feature maps [B, C_i, H_i, W_i], finest first -> `levels` maps of `out_channels`, each half the one before.

    Args:
        levels: at least as many as there are inputs; those beyond are strided convolutions of the coarsest input.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        levels: int = 6,
        norm: Norm = "batch",
        groups: int = 32,
    ) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv_norm(channels, out_channels, 1, norm, groups) for channels in in_channels)
        self.smooth = nn.ModuleList(conv_norm(out_channels, out_channels, 3, norm, groups) for _ in in_channels)
        sources = [in_channels[-1], *[out_channels] * levels][: levels - len(in_channels)]
        self.extra = nn.ModuleList(conv_norm(channels, out_channels, 3, norm, groups, stride=2) for channels in sources)
        self.out_channels = (out_channels,) * levels
        xavier(self)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        levels = top_down([conv(x) for conv, x in zip(self.lateral, features, strict=True)], "bilinear")
        levels = [conv(x) for conv, x in zip(self.smooth, levels, strict=True)]
        coarse = features[-1]
        for conv in self.extra:
            coarse = conv(coarse)
            levels.append(coarse)
        return levels
