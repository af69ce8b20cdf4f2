"""Cost of a detector whose work depends on the image: how it is spread over the images of a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TOTAL = "total"
Spread = dict[str, float]  # mean, p50, p90, max


@dataclass(frozen=True)
class CostDistribution:
    """Over the images that were looked at, in looks of one image each.

    Args:
        images: their number.
        macs: of an image, by component, and all together under "total".
        windows: of an image that later components looked at, by component.
    """

    images: int
    macs: Mapping[str, Spread]
    windows: Mapping[str, Spread]

    @classmethod
    def of(cls, macs: Mapping[str, Sequence[int]], windows: Mapping[str, Sequence[int]]) -> "CostDistribution":
        """From a count for every image, by component."""
        total = np.sum([np.asarray(values, np.int64) for values in macs.values()], axis=0)
        return cls(
            images=len(total),
            macs={name: spread(values) for name, values in macs.items()} | {TOTAL: spread(total)},
            windows={name: spread(values) for name, values in windows.items()},
        )

    def values(self) -> dict[str, Any]:
        """As a record keeps it."""
        return {"images": self.images, "macs": dict(self.macs), "windows": dict(self.windows)}


def spread(values: Any) -> Spread:
    """Mean, median, 90th percentile (linear between neighbors) and maximum."""
    p50, p90 = (float(value) for value in np.percentile(values, [50, 90]))
    return {"mean": float(np.mean(values)), "p50": p50, "p90": p90, "max": float(np.max(values))}
