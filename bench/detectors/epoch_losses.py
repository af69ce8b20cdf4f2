"""Losses of an epoch, summed where they are computed: nothing is fetched from the device and little done at each step.

Lightning's `log_dict` takes a tenth of a step of the smallest detectors.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


class EpochLosses:
    """Means over the images of an epoch, each batch weighing as much as it has images."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.sums: Tensor | None = None  # [L]
        self.images = 0

    def add(self, losses: Mapping[str, Tensor], images: int) -> None:
        """The losses of a batch of so many images, scalars by name; the same names every time."""
        values = torch.stack([value.detach() for value in losses.values()]) * images
        self.names = tuple(losses)
        self.sums = values if self.sums is None else self.sums + values
        self.images += images

    def means(self) -> dict[str, Tensor]:
        """By name; none before the first batch."""
        return {} if self.sums is None else dict(zip(self.names, (self.sums / self.images).unbind(), strict=True))
