"""A data loader that a stopped run can take up again in the middle of an epoch.

Lightning resumes its batch counter but leaves the position in the data to the loader. Ours asks Lightning for the
number of the next batch when an epoch begins, and lets the sampler skip what comes before it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader

from data_modules.errors import DataError


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


def prepare_worker(worker: int) -> None:
    """One thread a worker process: several workers with several threads each would fight for the cores."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
