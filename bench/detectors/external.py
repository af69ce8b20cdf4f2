"""Detectors of other makers behind our contract: same images, same protocol, same evaluator; no training here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor, nn

from bench.detectors.base import Detector
from bench.errors import ConfigError


class ExternalDetector(Detector):
    """What ONNX graphs and torchvision detectors have in common here: they predict, and that is all."""

    def load_file(self, path: Path, name: str) -> None:
        """Take the network or its weights from `path`; what `weights=` means for this detector."""
        raise NotImplementedError

    def components(self) -> dict[str, nn.Module]:
        return {}

    def losses(self, outputs: Any, targets: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        no_recipe()


def no_recipe(**_: Any) -> NoReturn:
    """The recipe of every external detector."""
    raise ConfigError("an external detector cannot be trained here; evaluate it, or train a detector of this suite")
