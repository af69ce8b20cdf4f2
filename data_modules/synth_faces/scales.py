"""How many faces of which size each image gets.

The published distribution over WIDER FACE val at long side 640 (SCRFD, arXiv 2105.04714, section 3.1): 13.36 % of the
faces are smaller than 8 pixels, 51.85 % than 16, 78.93 % than 32, where the size is sqrt(width * height). Kinds of
scenes repeat every `CYCLE` images; each kind takes a fixed expected number of faces from each band of sizes, and the
running sums are rounded, so the shares hold for a whole set and not only on average.
"""

from __future__ import annotations

import numpy as np

PUBLISHED = {8: 0.1336, 16: 0.5185, 32: 0.7893}

CYCLE = (
    "portrait", "crowd", "group", "street", "portrait", "group", "portrait", "crowd",
    "group", "street", "portrait", "group", "crowd", "street", "portrait", "group",
)  # fmt: skip
EVENTS = {"crowd": "0--Crowd", "group": "1--Group", "portrait": "2--Portrait", "street": "3--Street"}

# Bands of sizes in pixels at long side 640, and faces expected per image of a kind from each band.
BANDS = {
    "portrait": ((72.0, 280.0), (32.0, 80.0)),
    "group": ((32.5, 105.0), (16.0, 32.0), (8.0, 16.0)),
    "street": ((32.5, 64.0), (16.0, 32.0), (8.0, 16.0), (4.6, 8.0)),
    "crowd": ((16.0, 30.0), (8.0, 16.0), (4.6, 8.0)),
}
EXPECTED = {
    "portrait": (1.7, 0.36),
    "group": (4.58, 4.0, 1.4),
    "street": (2.96, 5.0, 7.0, 2.0),
    "crowd": (6.38, 16.8, 6.42),
}
_DENSITY = (1.0, 0.6, 1.35, 0.85, 1.2)  # some images of a kind are fuller than others


def occurrence(index: int) -> tuple[str, int]:
    """The kind of image `index`, and how many images of that kind come before it."""
    kind = CYCLE[index % len(CYCLE)]
    before = CYCLE[: index % len(CYCLE)].count(kind)
    return kind, index // len(CYCLE) * CYCLE.count(kind) + before


def _running_density(count: int) -> float:
    return count // len(_DENSITY) * sum(_DENSITY) + sum(_DENSITY[: count % len(_DENSITY)])


def sample_sizes(rng: np.random.Generator, index: int) -> list[float]:
    """Sizes in pixels at long side 640 of the faces of image `index`, largest first."""
    kind, nth = occurrence(index)
    sizes: list[float] = []
    for (low, high), expected in zip(BANDS[kind], EXPECTED[kind], strict=True):
        count = round(expected * _running_density(nth + 1)) - round(expected * _running_density(nth))
        # Uniform in the logarithm, one draw from each of `count` equal parts: varied and yet never lumpy.
        place = (np.arange(count) + rng.random(count)) / max(count, 1)
        sizes += list(low * (high / low) ** place)
    return sorted((float(size) for size in sizes), reverse=True)
