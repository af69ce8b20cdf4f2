"""Which images an epoch holds, in what order, and which of several processes takes them.

The order is a function of (seed, epoch) alone. The sampler of training yields `(epoch, index)` and the dataset draws a
sample's augmentations from those two, so neither the number of workers, nor that of processes, nor an interruption
changes what an iteration sees. With batches of B images in each of W processes:

    training:    iteration k takes images order[k W B : (k + 1) W B], dealt out one by one; process r has every W-th
    evaluation:  batch k is images k B .. (k + 1) B - 1, whole, in process k mod W

so that the batches of an iteration are together those of one process with W B images, and a batch of an evaluation is
the same one wherever it is evaluated.
"""

from collections.abc import Iterator

import numpy as np
import torch.distributed
from torch.utils.data import DistributedSampler

from data_modules.errors import DataError


class EpochSampler(DistributedSampler[int]):
    """Yields `(epoch, index)` for this process's share of a permutation drawn from (seed, epoch).

    It is a DistributedSampler so that Lightning calls `set_epoch` and wraps no second sampler around it. The end of the
    permutation that fills no batch in every process is left out, unless there is nothing else: then all of it is dealt
    out, and processes may differ by an image.

    Args:
        length: number of samples of the dataset.
        seed: >= 0.
        shuffle: False keeps the order of the dataset.
        rank, world_size: this process and their number; None asks torch.distributed (1 where it is not initialised).
        batch_size: of one process.

    Raises:
        DataError: a process would have no sample.
    """

    def __init__(
        self,
        length: int,
        seed: int = 0,
        shuffle: bool = True,
        rank: int | None = None,
        world_size: int | None = None,
        batch_size: int = 1,
    ) -> None:
        rank, world_size = place(rank, world_size)
        check_share(length, world_size)
        super().__init__(range(length), world_size, rank, shuffle, seed)  # type: ignore[arg-type]
        whole = length - length % (batch_size * world_size)
        self.total_size = whole or length
        self.num_samples = len(range(rank, self.total_size, world_size))
        self.start = 0  # samples to skip in the iterations to come: what a resumed epoch has seen before

    def __iter__(self) -> Iterator[tuple[int, int]]:  # type: ignore[override]
        length = len(self.dataset)  # type: ignore[arg-type]
        order = np.arange(length)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(length)
        share = order[: self.total_size][self.rank :: self.num_replicas]
        return iter([(self.epoch, int(index)) for index in share[self.start :]])


class BatchShareSampler(DistributedSampler[int]):
    """Yields the indices of every W-th whole batch, in order: each image is evaluated once, by one process.

    Where there are fewer batches than processes, they are made smaller; see `batch_size`.

    Args:
        length: number of samples of the dataset.
        batch_size: with which the loader batches them.
        rank, world_size: as in `EpochSampler`.

    Raises:
        DataError: a process would have no sample.
    """

    def __init__(self, length: int, batch_size: int, rank: int | None = None, world_size: int | None = None) -> None:
        rank, world_size = place(rank, world_size)
        check_share(length, world_size)
        super().__init__(range(length), world_size, rank, shuffle=False)  # type: ignore[arg-type]
        too_few = -(-length // batch_size) < world_size
        self.batch_size = max(1, length // world_size) if too_few else batch_size  # what the loader has to take
        starts = range(rank * self.batch_size, length, world_size * self.batch_size)
        self.indices = [index for start in starts for index in range(start, min(start + self.batch_size, length))]
        self.num_samples = len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


def place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """This process and the number of processes; None asks torch.distributed."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if world_size is None:
        world_size = torch.distributed.get_world_size() if distributed else 1
    if rank is None:
        rank = torch.distributed.get_rank() if distributed else 0
    return rank, world_size


def check_share(length: int, world_size: int) -> None:
    """Raise DataError where some process would have no image: the others would wait for it."""
    if world_size > 1 and length < world_size:
        raise DataError(f"expected an image for each of {world_size} processes, found {length}; set trainer.devices=1")
