"""The sampler: order, shares, skipping."""

import pytest
import torch
from torch.utils.data import DistributedSampler

from data_modules.sampling import EpochSampler


def test_epochs_are_permutations_that_differ() -> None:
    sampler = EpochSampler(20, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert {epoch for epoch, _ in first} == {0}
    assert {epoch for epoch, _ in second} == {1}
    assert sorted(index for _, index in first) == sorted(index for _, index in second) == list(range(20))
    assert [index for _, index in first] != [index for _, index in second]
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert list(EpochSampler(20, seed=4)) != first


def test_torch_and_global_state_do_not_matter() -> None:
    torch.manual_seed(0)
    first = list(EpochSampler(20, seed=3))
    torch.manual_seed(1)
    assert list(EpochSampler(20, seed=3)) == first


@pytest.mark.parametrize(("length", "world"), [(12, 3), (13, 4), (2, 5), (1, 1)])
def test_shares(length: int, world: int) -> None:
    whole = list(EpochSampler(length, seed=1, world_size=1, rank=0))
    shares = [list(EpochSampler(length, seed=1, rank=rank, world_size=world)) for rank in range(world)]
    assert {len(share) for share in shares} == {-(-length // world)}
    dealt = [shares[rank][turn] for turn in range(len(shares[0])) for rank in range(world)]
    assert dealt[:length] == whole  # one order for all, dealt out in turn
    assert dealt[length:] == (whole * world)[: len(dealt) - length]  # filled up from its start


def test_start_skips() -> None:
    sampler = EpochSampler(10, seed=0)
    whole = list(sampler)
    sampler.start = 4
    assert list(sampler) == whole[4:]
    assert len(sampler) == 10  # Lightning counts the whole epoch


def test_lightning_leaves_it_alone_in_distributed_runs() -> None:
    assert isinstance(EpochSampler(3), DistributedSampler)


def test_without_shuffle() -> None:
    assert list(EpochSampler(3, shuffle=False)) == [(0, 0), (0, 1), (0, 2)]
