"""What turns the weights of a cascade into candidates: the YAML's `inference`. Released codes differ in it."""

from dataclasses import dataclass
from typing import Literal

from bench.detectors.cascade.pyramid import ROUNDINGS, Rounding
from bench.detectors.cascade.resampling import RULES
from bench.errors import ConfigError

BORDERS = ("zeros", "cut")


@dataclass(frozen=True)
class CascadeRules:
    """The defaults are the authors'.

    Args:
        min_face: pixels; a face of this size fills P-Net's window at the first scale.
        factor: from one scale to the next.
        thresholds: of the three stages; the first must be reached, the others exceeded.
        level_overlap, overlap: IoU above which a box goes: inside one scale, and across scales and after R-Net.
        smaller_overlap: the last suppression's, intersection over the smaller area.
        resampling: how images and crops are resized: "area_weighted", or "adaptive_pooling" as facenet-pytorch does.
        level_rounding: sides of a level are rounded "up", or "beyond" a whole pixel too, as in facenet-pytorch.
        truncate_boxes: cut squares to whole pixels, from which the next stage calibrates; otherwise the crops alone.
        border: what a crop has outside the image: "zeros", or it is "cut" there and stretched, as in facenet-pytorch.
        suppression_pixel: 1 where the IoU counts a box's last pixel, 0 in facenet-pytorch.
        mirrored_landmarks: landmarks are means with those of the mirrored crop, for one more pass of O-Net.
    """

    min_face: float = 20.0
    factor: float = 0.709
    thresholds: tuple[float, ...] = (0.6, 0.7, 0.7)
    level_overlap: float = 0.5
    overlap: float = 0.7
    smaller_overlap: float = 0.7
    resampling: str = "area_weighted"
    level_rounding: Rounding = "up"
    truncate_boxes: bool = True
    border: Literal["zeros", "cut"] = "zeros"
    suppression_pixel: float = 1.0
    mirrored_landmarks: bool = True

    def __post_init__(self) -> None:
        for name, known in (("resampling", RULES), ("level_rounding", ROUNDINGS), ("border", BORDERS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"expected inference.{name} among {', '.join(known)}, found `{getattr(self, name)}`")
        if not (self.min_face > 0 and 0 < self.factor < 1 and len(self.thresholds) == 3):
            raise ConfigError(
                "expected inference.min_face above 0, a factor between 0 and 1 and three thresholds, found "
                f"{self.min_face}, {self.factor} and {list(self.thresholds)}"
            )
