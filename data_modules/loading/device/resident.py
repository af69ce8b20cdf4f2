"""Decoded images in the memory of a device, as far as a budget allows."""

import logging

import torch
from torch import Tensor

log = logging.getLogger(__name__)
_BLOCK = 256 * 2**20  # bytes taken from the device at a time


class ResidentImages:
    """uint8 images [3, H, W] of any size, one after another in flat blocks on `device`; none is ever thrown out.

    Args:
        device: where they are kept.
        max_bytes: the most that all blocks may take; WIDER FACE train decodes to 31 GB.
        block_bytes: taken at a time; larger images get a block of their own.
    """

    def __init__(self, device: torch.device, max_bytes: int, block_bytes: int = _BLOCK) -> None:
        self.device = device
        self.max_bytes = max_bytes
        self.block_bytes = block_bytes
        self._block = torch.empty(0, dtype=torch.uint8, device=device)
        self._used = 0  # of the last block
        self._taken = 0  # in all blocks
        self._images: dict[int, Tensor] = {}
        self._full = False

    def __len__(self) -> int:
        return len(self._images)

    def get(self, key: int) -> Tensor | None:
        """uint8 [3, H, W] on the device, or None where it is not kept."""
        return self._images.get(key)

    def put(self, key: int, image: Tensor) -> Tensor:
        """`image`, uint8 [3, H, W], on the device: kept there if it fits."""
        size = image.numel()
        if self._used + size > len(self._block) and not self._take(size):
            return image.to(self.device)
        kept = self._block[self._used : self._used + size].view(image.shape)
        kept.copy_(image)
        self._used += size
        self._images[key] = kept
        return kept

    def _take(self, size: int) -> bool:
        """A new block for an image of `size` bytes; False where the budget is spent."""
        room = self.max_bytes - self._taken
        if size > room:
            if not self._full:
                log.warning(
                    "%.2f GiB on %s hold %d images; the others are read in every epoch",
                    self.max_bytes / 2**30,
                    self.device,
                    len(self),
                )
            self._full = True
            return False
        bytes_taken = max(size, min(self.block_bytes, room))
        self._block = torch.empty(bytes_taken, dtype=torch.uint8, device=self.device)
        self._taken += bytes_taken
        self._used = 0
        return True
