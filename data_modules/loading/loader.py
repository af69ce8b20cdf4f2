"""Loaders: of training one that a stopped run can take up again in the middle of an epoch, of evaluation one that reads
ahead.

Lightning resumes its batch counter but leaves the position in the data to the loader. Ours asks Lightning for the
number of the next batch when an epoch begins, and lets the sampler skip what comes before it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader

from data_modules.errors import DataError
from data_modules.loading.ahead import Ahead
from data_modules.loading.collate import collate_ragged
from data_modules.loading.dataset import EvalImages


class ResumableLoader(DataLoader[Any]):
    """A DataLoader whose first batch is the one numbered `first_batch()`, where that attribute is set."""

    first_batch: Callable[[], int] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # A generator: Lightning makes iterators before it knows the epoch, and this one starts with its first batch.
        if self.first_batch is not None:
            self.sampler.start = self.first_batch() * (self.batch_size or 1)  # type: ignore[attr-defined]
        try:
            yield from super().__iter__()
        except DataError as error:
            # A worker wraps its traceback around the message, which a person is meant to read.
            raise DataError(str(error).rsplit(f"{DataError.__name__}: ", 1)[-1].strip()) from None

    def state_dict(self) -> dict[str, Any]:
        """Empty: the position is Lightning's own. Having the pair of methods tells Lightning that we can resume."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load; see `state_dict`."""


class AheadLoader:
    """Ragged batches of images in a given order, read ahead by threads.

    Args:
        order: of the images; None: all of them as they stand.
        threads: that read; 0 reads in the loop.
        begun: images of the same dataset and order that are being read already; the first iteration takes them.
        pin_memory: as in torch's DataLoader.
    """

    def __init__(
        self,
        dataset: EvalImages,
        batch_size: int,
        threads: int,
        order: Sequence[int] | None = None,
        begun: Ahead | None = None,
        pin_memory: bool = False,
    ) -> None:
        self.dataset, self.batch_size, self.threads, self.pin_memory = dataset, batch_size, threads, pin_memory
        self.order = range(len(dataset)) if order is None else order
        self.begun = begun

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        begun, self.begun = self.begun, None
        if begun is not None and list(begun.order) != list(self.order):
            begun.close()  # of all images, where this process has a share of them
            begun = None
        ahead = begun or Ahead(self.dataset, self.order, self.threads)
        try:
            for first in range(0, len(self.order), self.batch_size):
                places = range(first, min(first + self.batch_size, len(self.order)))
                batch = collate_ragged([self.dataset.item(self.order[place], ahead.take(place)) for place in places])
                if self.pin_memory:
                    batch["images"] = [image.pin_memory() for image in batch["images"]]
                yield batch
        finally:
            ahead.close()


def prepare_worker(worker: int) -> None:
    """One thread a worker process: several workers with several threads each would fight for the cores."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
