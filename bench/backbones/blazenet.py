"""BlazeFace's feature extractor, front camera model (Bazarevsky et al. 2019, arXiv 1907.05047, figure 1 and table 4).

Five single and six double BlazeBlocks of 5x5 depthwise and 1x1 pointwise convolutions; the residual joins at the wide
end. Consulted: hollance/BlazeFace-PyTorch, which holds MediaPipe's released network, a different one (3x3, single
blocks only). This one follows the paper's table. The paper draws no batch norm; here one follows every convolution (for
training; `norm=False` gives the folded form, with biases instead). Padding is symmetric, not TensorFlow's "SAME".
"""

from collections.abc import Sequence
from itertools import chain

from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import ConfigError
from bench.layers.convolution import conv_norm
from bench.layers.norm import Norm


def separable(inputs: int, outputs: int, kernel: int, stride: int, norm: Norm | None) -> nn.Sequential:
    """Depthwise, then pointwise, nothing but norms between them (figure 1)."""
    depthwise = conv_norm(inputs, inputs, kernel, norm, stride=stride, depthwise=True)
    return nn.Sequential(depthwise, conv_norm(inputs, outputs, 1, norm))


class BlazeBlock(nn.Module):
    """Single (`squeeze=None`) or double BlazeBlock: [B, Cin, H, W] -> [B, Cout, ceil(H / stride), ceil(W / stride)].

    The skip has no parameters: a 2x2 max pool if strided, zero channels appended if the block widens.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        squeeze: int | None = None,
        kernel_size: int = 5,
        norm: bool = True,
    ) -> None:
        super().__init__()
        kind: Norm | None = "batch" if norm else None
        if squeeze is None:
            self.main = separable(in_channels, out_channels, kernel_size, stride, kind)
        else:
            self.main = nn.Sequential(
                separable(in_channels, squeeze, kernel_size, stride, kind),
                nn.ReLU(inplace=True),
                separable(squeeze, out_channels, kernel_size, 1, kind),
            )
        # ceil_mode: a strided convolution with this padding rounds odd sides up
        self.pool = nn.MaxPool2d(2, ceil_mode=True) if stride == 2 else nn.Identity()
        self.widen = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        skip = self.pool(x)
        if self.widen:  # F.pad copies even when there is nothing to append
            skip = F.pad(skip, (0, 0, 0, 0, 0, self.widen))
        return F.relu(self.main(x) + skip, inplace=True)


class BlazeNet(nn.Module):
    """`images` [B, 3, H, W] -> [tap A [B, C, H/8, W/8], tap B [B, C, H/16, W/16]], sides rounded up.

    `singles` and `doubles` list (output channels, stride) block by block; `squeeze` is the inner width of the doubles.
    The stem halves the image and every block of stride 2 begins a stage, so there must be exactly three of these.
    Raises ConfigError when the blocks do not make four stages, or narrow (the skip can only add channels).
    """

    strides = (8, 16)

    def __init__(
        self,
        stem_channels: int = 24,
        singles: Sequence[tuple[int, int]] = ((24, 1), (24, 1), (48, 2), (48, 1), (48, 1)),
        doubles: Sequence[tuple[int, int]] = ((96, 2), (96, 1), (96, 1), (96, 2), (96, 1), (96, 1)),
        squeeze: int = 24,
        kernel_size: int = 5,
        norm: bool = True,
    ) -> None:
        super().__init__()
        _check(stem_channels, [*singles, *doubles], kernel_size)
        first = conv_norm(3, stem_channels, kernel_size, "batch" if norm else None, stride=2)
        self.stem = nn.Sequential(first, nn.ReLU(inplace=True))
        stages: list[list[nn.Module]] = [[]]  # [0]: stride 2, [1]: stride 4, ...
        widths = [stem_channels]  # of each stage's last block
        plan = chain(((*block, None) for block in singles), ((*block, squeeze) for block in doubles))
        previous = stem_channels
        for channels, stride, inner in plan:
            if stride == 2:
                stages.append([])
                widths.append(channels)
            stages[-1].append(BlazeBlock(previous, channels, stride, inner, kernel_size, norm))
            widths[-1] = previous = channels
        self.stage1, self.stage2, self.stage3, self.stage4 = (nn.Sequential(*blocks) for blocks in stages)
        self.out_channels: tuple[int, ...] = (widths[2], widths[3])

    def components(self) -> dict[str, nn.Module]:
        return {name: getattr(self, name) for name in ("stem", "stage1", "stage2", "stage3", "stage4")}

    def forward(self, images: Tensor) -> list[Tensor]:
        tap_a = self.stage3(self.stage2(self.stage1(self.stem(images))))  # [B, C, H/8, W/8]
        return [tap_a, self.stage4(tap_a)]


def _check(stem_channels: int, blocks: Sequence[tuple[int, int]], kernel_size: int) -> None:
    if kernel_size % 2 == 0:
        raise ConfigError(f"BlazeNet: expected an odd kernel_size, found {kernel_size}")
    strides = [stride for _, stride in blocks]
    if set(strides) - {1, 2} or strides.count(2) != 3:
        raise ConfigError(
            "BlazeNet: expected blocks of stride 1 or 2 with exactly three of stride 2 (taps at strides 8 and 16), "
            f"found strides {strides}; mend singles or doubles"
        )
    widths = [stem_channels, *(channels for channels, _ in blocks)]
    if widths != sorted(widths):
        raise ConfigError(f"BlazeNet: expected channels that never shrink, found {widths}: a skip cannot drop channels")
