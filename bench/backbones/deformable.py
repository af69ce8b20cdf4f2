"""A convolution whose nine samples move: Deformable Convolutional Networks (arXiv 1703.06211)."""

from typing import cast

from torch import Tensor, nn
from torchvision.ops import DeformConv2d


class DeformableConv(nn.Module):
    """Takes the place of `convolution` and begins as the same function: all offsets are zero at first.

    Offsets in pixels come from a convolution of the same kernel and stride, one group (without DCNv2's modulation).
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        kernel, stride, padding = (
            cast(tuple[int, int], value) for value in (convolution.kernel_size, convolution.stride, convolution.padding)
        )
        inputs, outputs = convolution.in_channels, convolution.out_channels
        self.offset = nn.Conv2d(inputs, 2 * kernel[0] * kernel[1], kernel, stride, padding)
        self.kernel = DeformConv2d(inputs, outputs, kernel[0], stride[0], padding[0], bias=False)
        self.kernel.weight = convolution.weight
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """[B, Cin, H, W] -> [B, Cout, H / stride, W / stride], in the weights' precision: bfloat16 has no kernel."""
        precision = self.kernel.weight.dtype
        offsets = self.offset(x).to(precision)
        sampled: Tensor = self.kernel(x.to(precision), offsets)
        return sampled
