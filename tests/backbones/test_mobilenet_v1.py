"""MobileNet-V1 with redistributed widths: the layout of the paper's released backbones."""

import pytest
import torch
from torch import nn

from bench.backbones.mobilenet_v1 import MobileNetV1


def test_shapes() -> None:
    net = MobileNetV1((1, 2, 1, 1), (8, 12, 16, 20, 24, 28)).eval()
    assert net.out_channels == (16, 20, 24, 28)
    found = [tuple(x.shape) for x in net(torch.zeros(2, 3, 64, 96))]
    assert found == [(2, c, 64 // s, 96 // s) for c, s in zip(net.out_channels, net.strides, strict=True)]


def separable(v: int, w: int) -> int:
    """Depthwise 3x3 and pointwise 1x1 without bias, two norm values a channel."""
    return 9 * v + 2 * v + v * w + 2 * w


def test_parameters_by_hand() -> None:
    """SCRFD-0.5GF's backbone: stem 16 -> 16, then 2, 3, 2, 6 blocks."""
    net = MobileNetV1((2, 3, 2, 6), (16, 16, 40, 72, 152, 288))
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.components().items()}
    assert counts == {
        "stem": 27 * 16 + 2 * 16 + separable(16, 16),
        "c2": separable(16, 40) + separable(40, 40),
        "c3": separable(40, 72) + 2 * separable(72, 72),
        "c4": separable(72, 152) + separable(152, 152),
        "c5": separable(152, 288) + 5 * separable(288, 288),
    }
    assert sum(counts.values()) == sum(p.numel() for p in net.parameters())


def test_each_stage_opens_with_its_stride_and_nothing_pools() -> None:
    net = MobileNetV1((2, 1, 3, 1), (8, 8, 8, 8, 8, 8))
    for stage, depth in zip((net.c2, net.c3, net.c4, net.c5), (2, 1, 3, 1), strict=True):
        strides = [m.stride[0] for m in stage.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
        assert strides == [2] + [1] * (depth - 1)
    assert not any("Pool" in type(m).__name__ for m in net.modules())


def test_no_residuals() -> None:
    net = MobileNetV1((2, 1, 1, 1), (4, 4, 4, 4, 4, 4)).eval()
    nn.init.zeros_(net.c2[1][3].weight)  # type: ignore[index]
    assert not bool(net(torch.rand(1, 3, 32, 32))[0].any())


def test_batched_equals_single() -> None:
    torch.manual_seed(0)
    net = MobileNetV1((1, 1, 1, 1), (8, 8, 16, 16, 16, 16)).eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        together, alone = net(images), [net(image[None]) for image in images]
    for level in range(4):
        torch.testing.assert_close(together[level], torch.cat([x[level] for x in alone]), atol=1e-5, rtol=1e-4)


def test_depths_and_widths_that_do_not_pair_up() -> None:
    with pytest.raises(ValueError, match="zip"):
        MobileNetV1((1, 1, 1), (8, 8, 8, 8, 8, 8))
