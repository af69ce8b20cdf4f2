"""Which images share a forward pass."""

from collections.abc import Callable

import torch
from torch import Tensor

from bench.detectors.batches import by_size, picked


def test_groups_of_one_size(noise: Callable[..., list[Tensor]]) -> None:
    images = noise((4, 6), (6, 4), (4, 6))
    assert by_size(images) == [[0, 2], [1]]
    assert by_size(images, (8, 8)) == [[0, 1, 2]]
    assert by_size(images, (5, 5)) == [[0, 2], [1]]  # 5 x 6 and 6 x 5: the padding does not make them one
    assert by_size(images, (6, 6)) == [[0, 1, 2]]
    assert by_size(torch.zeros(2, 3, 4, 6)) == [[0, 1]]


def test_a_batch_of_one_group_stays_what_it_was(noise: Callable[..., list[Tensor]]) -> None:
    images = noise((4, 6), (6, 4), (4, 6))
    assert picked(images, [0, 1, 2]) is images
    first, last = picked(images, [0, 2])
    assert first is images[0]
    assert last is images[2]
    stacked = torch.stack([images[0], images[2]])
    assert picked(stacked, [0, 1]) is stacked
    assert torch.equal(torch.as_tensor(picked(stacked, [1])), images[2][None])
