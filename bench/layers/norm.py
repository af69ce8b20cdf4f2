"""Normalisation by name, for every part whose papers use batch norm here and group norm there."""

from typing import Literal

from torch import nn

Norm = Literal["batch", "group"]


def norm_layer(kind: Norm, channels: int, groups: int = 32) -> nn.Module:
    """Batch norm, or group norm with `groups` groups."""
    return nn.GroupNorm(groups, channels) if kind == "group" else nn.BatchNorm2d(channels)
