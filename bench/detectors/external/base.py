"""Detectors of other makers behind our contract: same images, same protocol, same evaluator; no training here."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn

from bench.detectors.base import Detector, Size
from bench.errors import ConfigError


class ExternalDetector(Detector):
    """What ONNX graphs and torchvision detectors have in common here: they predict, and that is all."""

    def components(self) -> dict[str, nn.Module]:
        return {}

    def complexity(self, size: Size) -> None:
        """None: its operations run elsewhere, or depend on what it finds."""

    def folded(self) -> Self:
        """The detector itself, which is already as its maker made it."""
        return self

    def losses(self, outputs: Any, targets: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        raise ConfigError("an external detector cannot be trained here; evaluate it, or train a detector of this suite")
