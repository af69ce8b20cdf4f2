"""What backbones of four stages share: C2..C5 at strides 4, 8, 16, 32, their blocks and the way through them."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn


class FourStages(nn.Module):
    """A subclass sets `stem`, `c2`..`c5`, in this order, and `out_channels`."""

    strides = (4, 8, 16, 32)
    out_channels: tuple[int, ...]
    stem: nn.Sequential
    c2: nn.Sequential
    c3: nn.Sequential
    c4: nn.Sequential
    c5: nn.Sequential

    def components(self) -> dict[str, nn.Module]:
        return {"stem": self.stem, "c2": self.c2, "c3": self.c3, "c4": self.c4, "c5": self.c5}

    def forward(self, images: Tensor) -> list[Tensor]:
        """images [B, 3, H, W] -> four maps [B, C, H / stride, W / stride]."""
        features = [self.c2(self.stem(images))]
        for stage in (self.c3, self.c4, self.c5):
            features.append(stage(features[-1]))
        return features


def build_stages(
    block: Callable[[int, int, int], nn.Module],
    inputs: int,
    depths: Sequence[int],
    widths: Sequence[int],
    strides: Sequence[int],
    expansion: int = 1,
) -> list[nn.Sequential]:
    """Stages of `depths` blocks, the first of each with the stage's stride.

    `block` is called with input channels, width and stride, and gives `expansion` times its width.
    """
    stages = []
    for depth, width, stride in zip(depths, widths, strides, strict=True):
        blocks = [block(inputs, width, stride)]
        inputs = width * expansion
        blocks += [block(inputs, width, 1) for _ in range(depth - 1)]
        stages.append(nn.Sequential(*blocks))
    return stages
