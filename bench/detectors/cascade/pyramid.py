"""The scales at which P-Net looks at an image, and the sizes of the image at them."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from bench.detectors.cascade.networks import PNet

Size = tuple[int, int]  # height, width
Rounding = Literal["up", "beyond"]
ROUNDINGS: dict[str, Callable[[float], int]] = {"up": math.ceil, "beyond": lambda side: int(side + 1)}


def scales_of(size: Size, min_face: float, factor: float) -> list[float]:
    """From that at which a face of `min_face` pixels fills P-Net's window, while the shorter side is not below it.

    An image smaller than the smallest face has none.
    """
    scale = PNet.window / min_face
    shorter = min(size) * scale
    scales = []
    while shorter >= PNet.window:
        scales.append(scale)
        scale, shorter = scale * factor, shorter * factor
    return scales


def level_sizes(size: Size, scales: Sequence[float], rounding: Rounding) -> list[Size]:
    """Sides "up" to the next whole pixel, the authors' way, or "beyond" it even where it is whole (facenet-pytorch)."""
    rounded = ROUNDINGS[rounding]
    return [(rounded(size[0] * scale), rounded(size[1] * scale)) for scale in scales]
