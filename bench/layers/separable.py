"""Depthwise-separable convolution as in MobileNets (arXiv 1704.04861): norm and activation after either half."""

from torch import nn

from bench.layers.convolution import conv_norm
from bench.layers.norm import Norm


def separable(inputs: int, outputs: int, stride: int = 1, norm: Norm = "batch", groups: int = 32) -> nn.Sequential:
    """Depthwise 3x3 with the stride, then pointwise 1x1, each with norm and ReLU."""
    return nn.Sequential(
        *conv_norm(inputs, inputs, 3, norm, groups, stride, depthwise=True),
        nn.ReLU(),
        *conv_norm(inputs, outputs, 1, norm, groups),
        nn.ReLU(),
    )
