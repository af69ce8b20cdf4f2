"""The sampler: order, shares, skipping."""

from itertools import chain
from typing import Any

import pytest
import torch
from torch.utils.data import BatchSampler, DistributedSampler

from data_modules.errors import DataError
from data_modules.loading.sampling import BatchShareSampler, EpochSampler


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


@pytest.mark.parametrize(("length", "world"), [(12, 3), (13, 4), (5, 5), (1, 1)])
def test_shares(length: int, world: int) -> None:
    whole = list(EpochSampler(length, seed=1, world_size=1, rank=0))
    shares = [list(EpochSampler(length, seed=1, rank=rank, world_size=world)) for rank in range(world)]
    assert {len(share) for share in shares} == {length // world}
    dealt = [shares[rank][turn] for turn in range(length // world) for rank in range(world)]
    assert dealt == whole[: length - length % world]  # one order for all, dealt out in turn


def batches(sampler: EpochSampler | BatchShareSampler, batch_size: int) -> list[list[Any]]:
    return list(BatchSampler(sampler, batch_size, drop_last=False))


@pytest.mark.parametrize("length", [8, 9, 11, 15, 16, 23])
@pytest.mark.parametrize(("world", "batch_size"), [(2, 4), (4, 2), (8, 1)])
def test_an_iteration_of_several_processes_holds_the_images_of_one(length: int, world: int, batch_size: int) -> None:
    """At the same images of an iteration, 8; 15 images are one iteration with 8 or more left out, not two."""
    one = batches(EpochSampler(length, seed=2, rank=0, world_size=1, batch_size=8), 8)
    samplers = [EpochSampler(length, 2, rank=rank, world_size=world, batch_size=batch_size) for rank in range(world)]
    shares = [batches(sampler, batch_size) for sampler in samplers]
    assert {len(sampler) for sampler in samplers} == {len(one) * batch_size}
    together = [sorted(chain(*iteration)) for iteration in zip(*shares, strict=True)]
    assert together == [sorted(batch) for batch in one]
    assert {len(batch) for batch in one} == {8}


def test_an_only_batch_is_dealt_out_whole() -> None:
    """Five images in batches of four: one process trains on all at once, so two do, with three and two."""
    one = batches(EpochSampler(5, seed=2, rank=0, world_size=1, batch_size=8), 8)
    shares = [batches(EpochSampler(5, 2, rank=rank, world_size=2, batch_size=4), 4) for rank in range(2)]
    assert [[len(batch) for batch in share] for share in shares] == [[3], [2]]
    assert sorted(shares[0][0] + shares[1][0]) == sorted(one[0])


def test_a_resumed_epoch_goes_on_in_every_process() -> None:
    samplers = [EpochSampler(24, 2, rank=rank, world_size=2, batch_size=4) for rank in range(2)]
    whole = [batches(sampler, 4) for sampler in samplers]
    for sampler in samplers:
        sampler.start = 2 * 4
    assert [batches(sampler, 4) for sampler in samplers] == [share[2:] for share in whole]


@pytest.mark.parametrize(("length", "batch_size", "world"), [(19, 4, 2), (16, 4, 2), (17, 4, 3), (8, 4, 2), (3, 1, 3)])
def test_every_batch_of_an_evaluation_is_in_one_process(length: int, batch_size: int, world: int) -> None:
    one = batches(BatchShareSampler(length, batch_size, rank=0, world_size=1), batch_size)
    samplers = [BatchShareSampler(length, batch_size, rank, world) for rank in range(world)]
    shares = [batches(sampler, sampler.batch_size) for sampler in samplers]
    assert shares == [one[rank::world] for rank in range(world)]
    assert [len(sampler) for sampler in samplers] == [sum(map(len, share)) for share in shares]


def test_fewer_batches_than_processes_are_made_smaller() -> None:
    """Five images in batches of eight: processes without a batch would leave the others waiting."""
    samplers = [BatchShareSampler(5, 8, rank, 2) for rank in range(2)]
    assert [batches(sampler, sampler.batch_size) for sampler in samplers] == [[[0, 1], [4]], [[2, 3]]]


def test_fewer_images_than_processes_are_refused() -> None:
    with pytest.raises(DataError, match="expected an image for each of 3 processes, found 2"):
        EpochSampler(2, rank=0, world_size=3)
    with pytest.raises(DataError, match="expected an image for each of 3 processes, found 2"):
        BatchShareSampler(2, 8, rank=0, world_size=3)


def test_start_skips() -> None:
    sampler = EpochSampler(10, seed=0)
    whole = list(sampler)
    sampler.start = 4
    assert list(sampler) == whole[4:]
    assert len(sampler) == 10  # Lightning counts the whole epoch


def test_lightning_leaves_it_alone_in_distributed_runs() -> None:
    assert isinstance(EpochSampler(3), DistributedSampler)
    assert isinstance(BatchShareSampler(3, 2), DistributedSampler)


def test_without_shuffle() -> None:
    assert list(EpochSampler(3, shuffle=False)) == [(0, 0), (0, 1), (0, 2)]
