"""Convolution with norm, the pair that every network here is built from."""

from torch import nn

from bench.layers.norm import Norm, norm_layer


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int,
    norm: Norm | None = "batch",
    groups: int = 32,
    stride: int = 1,
    depthwise: bool = False,
) -> nn.Sequential:
    """A padded convolution and its norm, without activation: [B, inputs, H, W] -> [B, outputs, ceil(H / stride), ...].

    Args:
        kernel: odd.
        norm: None gives the folded form, a convolution with a bias and nothing behind it.
        groups: of a group norm.
        depthwise: each channel has a kernel of its own; `outputs` equals `inputs` then.
    """
    convolution = nn.Conv2d(
        inputs,
        outputs,
        kernel,
        stride,
        padding=kernel // 2,
        groups=inputs if depthwise else 1,
        bias=norm is None,
    )
    return nn.Sequential(convolution) if norm is None else nn.Sequential(convolution, norm_layer(norm, outputs, groups))
