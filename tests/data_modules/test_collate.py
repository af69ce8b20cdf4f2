"""Pixels into the order that torch takes."""

import numpy as np
import pytest
import torch

from data_modules.loading.collate import Item, collate_stacked, to_tensor


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (33, 50)])
def test_channels_first(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    tensor = to_tensor(image)
    assert tensor.is_contiguous()
    np.testing.assert_array_equal(tensor.numpy(), image.transpose(2, 0, 1))


def test_view_of_a_read_only_image() -> None:
    """A crop of a cached image: rows lie apart, and the tensor is a copy that may be written."""
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    image.flags.writeable = False
    crop = image[3:13, 5:15]
    tensor = to_tensor(crop)
    np.testing.assert_array_equal(tensor.numpy(), crop.transpose(2, 0, 1))
    before = image.copy()
    tensor.zero_()
    np.testing.assert_array_equal(image, before)


def test_stacked_images_have_memory_of_their_own() -> None:
    items: list[Item] = [(torch.full((3, 4, 4), value, dtype=torch.uint8), {"image_id": value}) for value in (1, 2)]
    batch = collate_stacked(items)
    items[0][0].zero_()
    assert batch["images"][:, 0, 0, 0].tolist() == [1, 2]
    assert batch["images"].is_contiguous()
    assert [target["image_id"] for target in batch["targets"]] == [1, 2]
