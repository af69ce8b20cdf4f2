"""Several necks in a row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn


class NeckSequence(nn.Module):
    """Each neck takes the maps that the one before gives.

    Args:
        in_channels: channels of every backbone output, finest first.
        parts: by name, called with the channels of what comes in; None leaves a part out (an ablation's switch).
    """

    def __init__(self, in_channels: Sequence[int], parts: Mapping[str, Callable[..., Any] | None]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict()
        channels = tuple(in_channels)
        for name, build in parts.items():
            if build is not None:
                self.parts[name] = build(channels)
                channels = self.parts[name].out_channels  # type: ignore[assignment]
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Sequence[Tensor]:
        for part in self.parts.values():
            features = part(features)
        return features
