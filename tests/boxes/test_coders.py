"""Box coders: by hand, there and back, batched."""

import math

import pytest
import torch

from bench.boxes import AnchorGenerator, Anchors, DeltaCoder, DistanceCoder
from bench.errors import ConfigError

CODERS = [DistanceCoder(), DeltaCoder(), DeltaCoder(stds=(1.0, 1.0, 1.0, 1.0))]


def some_anchors(count: int = 12) -> Anchors:
    anchors = AnchorGenerator((8, 16), ((16, 20), (40,)), ratios=(1.0, 2.0))((64, 64))
    return anchors.select(torch.randperm(len(anchors), generator=torch.Generator().manual_seed(0))[:count])


def random_boxes(*shape: int) -> torch.Tensor:
    corner, size = torch.rand(2, *shape, 2, generator=torch.Generator().manual_seed(1)) * 60
    return torch.cat([corner, corner + size + 1], dim=-1)


def one_anchor() -> Anchors:
    """Center (16, 8), 8 wide, 20 high, stride 4."""
    return Anchors(torch.tensor([[12.0, -2.0, 20.0, 18.0]]), torch.tensor([[16.0, 8.0]]), torch.tensor([4.0]))


def test_distance_by_hand() -> None:
    # Left 16 - 10 = 6, top 8 - 4 = 4, right 30 - 16 = 14, bottom 20 - 8 = 12, over the stride of 4.
    boxes = torch.tensor([[10.0, 4.0, 30.0, 20.0]])
    assert DistanceCoder().encode(one_anchor(), boxes).tolist() == [[1.5, 1.0, 3.5, 3.0]]
    # Keypoint (20, 6): +4, -2; keypoint (16, 8) is the center.
    keypoints = torch.tensor([[[20.0, 6.0], [16.0, 8.0]]])
    assert DistanceCoder().encode_keypoints(one_anchor(), keypoints).tolist() == [[1.0, -0.5, 0.0, 0.0]]


def test_delta_by_hand() -> None:
    # Box center (20, 12), 20 wide, 16 high.
    # (20 - 16) / 8 / .1 = 5; (12 - 8) / 20 / .1 = 2; ln(20 / 8) / .2; ln(16 / 20) / .2.
    boxes = torch.tensor([[10.0, 4.0, 30.0, 20.0]])
    expected = torch.tensor([[5.0, 2.0, math.log(2.5) / 0.2, math.log(0.8) / 0.2]])
    torch.testing.assert_close(DeltaCoder().encode(one_anchor(), boxes), expected)
    # Keypoint (20, 6): 4 / 8 / .1 = 5, -2 / 20 / .1 = -1.
    keypoints = torch.tensor([[[20.0, 6.0], [16.0, 8.0]]])
    expected = torch.tensor([[5.0, -1.0, 0.0, 0.0]])
    torch.testing.assert_close(DeltaCoder().encode_keypoints(one_anchor(), keypoints), expected)


@pytest.mark.parametrize("coder", CODERS)
def test_round_trip(coder: DistanceCoder | DeltaCoder) -> None:
    anchors, boxes = some_anchors(), random_boxes(12)
    torch.testing.assert_close(coder.decode(anchors, coder.encode(anchors, boxes)), boxes, atol=1e-4, rtol=0)
    keypoints = random_boxes(12, 3)[..., :2]
    deltas = coder.encode_keypoints(anchors, keypoints)
    assert deltas.shape == (12, 6)
    torch.testing.assert_close(coder.decode_keypoints(anchors, deltas), keypoints, atol=1e-4, rtol=0)


@pytest.mark.parametrize("coder", CODERS)
def test_batched_equals_single(coder: DistanceCoder | DeltaCoder) -> None:
    anchors, generator = some_anchors(), torch.Generator().manual_seed(2)
    deltas, offsets = torch.randn(3, 12, 4, generator=generator), torch.randn(3, 12, 10, generator=generator)
    boxes, keypoints = coder.decode(anchors, deltas), coder.decode_keypoints(anchors, offsets)
    assert boxes.shape == (3, 12, 4)
    assert keypoints.shape == (3, 12, 5, 2)
    for image in range(3):
        assert torch.equal(boxes[image], coder.decode(anchors, deltas[image]))
        assert torch.equal(keypoints[image], coder.decode_keypoints(anchors, offsets[image]))
    torch.testing.assert_close(coder.encode(anchors, boxes), deltas, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("coder", CODERS)
def test_empty_and_half(coder: DistanceCoder | DeltaCoder) -> None:
    nothing = some_anchors(0)
    assert coder.decode(nothing, torch.empty(2, 0, 4)).shape == (2, 0, 4)
    assert coder.encode(nothing, torch.empty(0, 4)).shape == (0, 4)
    assert coder.decode_keypoints(nothing, torch.empty(0, 10)).shape == (0, 5, 2)
    assert coder.encode_keypoints(nothing, torch.empty(0, 5, 2)).shape == (0, 10)
    deltas = torch.randn(12, 4, generator=torch.Generator().manual_seed(3)).half()
    decoded = coder.decode(some_anchors(), deltas)
    assert decoded.dtype == torch.float32
    torch.testing.assert_close(decoded, coder.decode(some_anchors(), deltas.float()))


def test_delta_clamps_a_wild_size_and_survives_an_empty_box() -> None:
    # Width 8 * exp(ln(1000 / 16)) = 8 * 62.5 = 500, centered on 16.
    wild = DeltaCoder().decode(one_anchor(), torch.tensor([[0.0, 0.0, 1e6, 0.0]]))
    torch.testing.assert_close(wild, torch.tensor([[16 - 250.0, -2.0, 16 + 250.0, 18.0]]))
    assert DeltaCoder().encode(one_anchor(), torch.tensor([[5.0, 5.0, 5.0, 5.0]])).isfinite().all()


@pytest.mark.parametrize("stds", [(0.1, 0.1), (0.1, 0.1, 0.2, 0.0)])
def test_bad_stds(stds: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="four positive stds"):
        DeltaCoder(stds=stds)
