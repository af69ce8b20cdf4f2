"""What the SVG of the page and the matplotlib figures share: colours, markers, axis ticks."""

import math
from collections.abc import Iterable

# Eight hues that stay apart for the colour-blind (after Okabe and Ito, Color Universal Design, 2008), at a lightness
# that reads on white and on near-black.
PALETTE = ("#2f7fd6", "#e07b00", "#0b9e78", "#cc5fa0", "#a08a00", "#7a63d8", "#d1493f", "#1f9fb8")
MARKERS = ("circle", "square", "diamond", "triangle")


def styles_of(detectors: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Detector -> index of its colour and name of its marker; the marker changes when the colours are used up."""
    names = sorted(set(detectors))
    return {
        name: (place % len(PALETTE), MARKERS[place // len(PALETTE) % len(MARKERS)]) for place, name in enumerate(names)
    }


def linear_ticks(low: float, high: float, count: int = 8) -> list[float]:
    """About `count` round numbers in steps of 1, 2 or 5, from below `low` to above `high` (but not below zero)."""
    margin = 0.05 * (high - low) if high > low else 0.05 * abs(low) or 1.0
    low, high = (max(0.0, low - margin) if low >= 0 else low - margin), high + margin
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """The numbers 1, 2, 5 x 10^k around the positive range, one tick beyond it on either side."""
    ticks = [
        factor * 10.0**power
        for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
        for factor in (1, 2, 5)
    ]
    first = max((place for place, tick in enumerate(ticks) if tick < low * 0.95), default=0)
    last = min((place for place, tick in enumerate(ticks) if tick > high * 1.05), default=len(ticks) - 1)
    return ticks[first : last + 1]
