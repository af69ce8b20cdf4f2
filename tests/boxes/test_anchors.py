"""Anchor lattices, by hand."""

import pytest
import torch

from bench.boxes import AnchorGenerator, blazeface_anchor_sizes
from bench.errors import ConfigError

SCRFD = AnchorGenerator(strides=(8, 16, 32), sizes=((16, 32), (64, 128), (256, 512)))


def test_scrfd_lattice_by_hand() -> None:
    anchors = SCRFD((16, 20))  # 16 high: 2, 1, 1 rows; 20 wide: ceil(20 / 8) = 3, ceil(20 / 16) = 2, 1 columns
    assert anchors.level_sizes == (12, 4, 2)
    assert anchors.grids == ((2, 3), (1, 2), (1, 1))
    assert len(anchors) == 18
    # Row by row, in a row column by column, in a cell 16 then 32; the first center is the corner of the image.
    assert anchors.centers[:8].tolist() == [[0, 0], [0, 0], [8, 0], [8, 0], [16, 0], [16, 0], [0, 8], [0, 8]]
    assert anchors.boxes[:3].tolist() == [[-8, -8, 8, 8], [-16, -16, 16, 16], [0, -8, 16, 8]]
    assert anchors.boxes[14].tolist() == [16 - 32, -32, 16 + 32, 32]  # level 16, second cell, side 64
    assert anchors.strides.tolist() == [8.0] * 12 + [16.0] * 4 + [32.0] * 2
    assert SCRFD.per_cell == (2, 2, 2)


@pytest.mark.parametrize(("size", "count"), [((640, 640), 16800), ((480, 640), 12600)])
def test_scrfd_published_counts(size: tuple[int, int], count: int) -> None:
    assert len(SCRFD(size)) == count


def test_ratio_is_height_over_width_and_keeps_the_area() -> None:
    generator = AnchorGenerator(strides=(4,), sizes=((8, 16),), ratios=(1.0, 4.0), center_offset=0.5)
    anchors = generator((4, 4))
    # One cell with its middle at 2. Sizes outer, ratios inner; side 8 at ratio 4 is 4 wide and 16 high.
    assert anchors.centers.tolist() == [[2.0, 2.0]] * 4
    assert anchors.boxes.tolist() == [[-2, -2, 6, 6], [0, -6, 4, 10], [-6, -6, 10, 10], [-2, -14, 6, 18]]
    assert generator.per_cell == (4,)


def test_blazeface_sizes_are_the_fact_sheet_s() -> None:
    front = blazeface_anchor_sizes(0.1484375, 0.75, (8, 16, 16, 16), 128)
    assert [[round(size, 1) for size in level] for level in front] == [
        [19.0, 29.1],
        [44.7, 56.0, 70.3, 82.2, 96.0, 110.9],
    ]
    back = blazeface_anchor_sizes(0.15625, 0.75, (16, 32, 32, 32), 256)
    assert [[round(size, 1) for size in level] for level in back] == [
        [40.0, 60.2],
        [90.7, 113.2, 141.3, 164.7, 192.0, 221.7],
    ]
    anchors = AnchorGenerator((8, 16), front, center_offset=0.5)((128, 128))
    assert anchors.level_sizes == (512, 384)
    # MediaPipe's normalised center grids: 0.03125 + 0.0625 i and 0.0625 + 0.125 i, times 128.
    assert anchors.centers[::2][:3, 0].tolist() == [4.0, 12.0, 20.0]
    assert anchors.centers[512::6][:3, 0].tolist() == [8.0, 24.0, 40.0]


def test_same_size_is_made_once_and_few_sizes_are_kept() -> None:
    generator = AnchorGenerator((32,), ((64,),))
    first = generator((64, 64))
    assert generator((64, 64)) is first
    for height in range(32, 32 * 42, 32):
        assert len(generator((height, 64))) == height // 32 * 2
    assert generator((64, 64)) is not first


def test_anchors_of_a_validation_pass_can_be_trained_with() -> None:
    generator = AnchorGenerator((32,), ((64,),))
    with torch.inference_mode():
        anchors = generator((64, 64))
    weight = torch.ones(4, 4, requires_grad=True)
    (weight * anchors.boxes).sum().backward()  # raises on an inference tensor
    assert weight.grad is not None


def test_an_export_leaves_no_fake_tensors_behind() -> None:
    fake_tensor = pytest.importorskip("torch._subclasses.fake_tensor")
    generator = AnchorGenerator((32,), ((64,),))
    with fake_tensor.FakeTensorMode():
        assert len(generator((64, 64))) == 4
    assert type(generator((64, 64)).boxes) is torch.Tensor


def test_meta_device() -> None:
    anchors = SCRFD((640, 640), device="meta")
    assert anchors.boxes.shape == (16800, 4)
    assert anchors.boxes.is_meta
    assert not SCRFD((640, 640)).boxes.is_meta


def test_select() -> None:
    anchors = SCRFD((16, 20))
    index = torch.tensor([13, 2])
    chosen = anchors.select(index)
    assert torch.equal(chosen.boxes, anchors.boxes[index])
    assert torch.equal(chosen.centers, anchors.centers[index])
    assert chosen.strides.tolist() == [16.0, 8.0]
    assert chosen.level_sizes == ()
    mask = torch.zeros(18, dtype=torch.bool)
    mask[2] = True
    assert torch.equal(anchors.select(mask).boxes, anchors.boxes[2:3])


@pytest.mark.parametrize("arguments", [{"strides": (8, 16), "sizes": ((16,),)}, {"strides": (8,), "sizes": ((),)}])
def test_sizes_that_do_not_pair_with_strides(arguments: dict) -> None:
    with pytest.raises(ConfigError, match="one non-empty list of sizes for each stride"):
        AnchorGenerator(**arguments)
