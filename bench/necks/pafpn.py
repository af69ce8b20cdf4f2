"""Path-aggregation feature pyramid: a top-down pass, then a bottom-up pass.

Paper: Path Aggregation Network for Instance Segmentation (arXiv 1803.01534), as SCRFD uses it: ordinary convolutions
with bias, no norm and no activation anywhere. Consulted: insightface, detection/scrfd, `PAFPN` and `FPN`.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from bench.layers.initialisation import xavier
from bench.necks.top_down import top_down


class PAFPN(nn.Module):
    """Feature maps [B, C_i, H_i, W_i] of the last levels of a backbone -> as many maps of `out_channels`.

    Args:
        in_channels: channels of every backbone output, finest first.
        out_channels: width of the pyramid.
        start_level: first backbone output that is used; 1 drops stride 4.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int, start_level: int = 1) -> None:
        super().__init__()
        self.start_level = start_level
        used = list(in_channels[start_level:])
        self.lateral = nn.ModuleList(nn.Conv2d(channels, out_channels, 1) for channels in used)
        self.smooth = nn.ModuleList(nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in used)
        upper = used[1:]
        self.downsample = nn.ModuleList(nn.Conv2d(out_channels, out_channels, 3, 2, padding=1) for _ in upper)
        self.output = nn.ModuleList(nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in upper)
        self.out_channels = (out_channels,) * len(used)
        xavier(self)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        used = features[self.start_level :]
        levels = top_down([conv(x) for conv, x in zip(self.lateral, used, strict=True)], "nearest")
        levels = [conv(x) for conv, x in zip(self.smooth, levels, strict=True)]
        for i, down in enumerate(self.downsample):
            levels[i + 1] = levels[i + 1] + down(levels[i])
        return [levels[0], *(conv(x) for conv, x in zip(self.output, levels[1:], strict=True))]
