"""Which images an epoch holds, and in what order: a function of (seed, epoch) alone.

The sampler yields `(epoch, index)` and the dataset draws a sample's augmentations from those two, so neither the number
of workers nor an interruption changes a batch.
"""

from collections.abc import Iterator

import numpy as np
import torch.distributed
from torch.utils.data import DistributedSampler


class EpochSampler(DistributedSampler[int]):
    """Yields `(epoch, index)` for this process's share of a permutation drawn from (seed, epoch).

    It is a DistributedSampler so that Lightning calls `set_epoch` and wraps no second sampler around it. Every process
    gets ceil(length / processes) samples; the first few of the permutation fill up the last round.

    Args:
        length: number of samples of the dataset.
        seed: >= 0.
        shuffle: False keeps the order of the dataset.
        rank, world_size: this process and their number; None asks torch.distributed (1 where it is not initialised).
    """

    def __init__(
        self, length: int, seed: int = 0, shuffle: bool = True, rank: int | None = None, world_size: int | None = None
    ) -> None:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if world_size is None:
            world_size = torch.distributed.get_world_size() if distributed else 1
        if rank is None:
            rank = torch.distributed.get_rank() if distributed else 0
        super().__init__(range(length), world_size, rank, shuffle, seed)  # type: ignore[arg-type]
        self.start = 0  # samples to skip in the iterations to come: what a resumed epoch has seen before

    def __iter__(self) -> Iterator[tuple[int, int]]:  # type: ignore[override]
        length = len(self.dataset)  # type: ignore[arg-type]
        order = np.arange(length)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(length)
        share = np.resize(order, self.total_size)[self.rank :: self.num_replicas]  # resize repeats from the start
        return iter([(self.epoch, int(index)) for index in share[self.start :]])
