"""ResNet-V1e: the layout of the paper's released backbones, layer by layer."""

import pytest
import torch
from torch import nn

from bench.backbones.resnet_v1e import BasicBlock, Bottleneck, ResNetV1e


def small(block: str = "basic") -> ResNetV1e:
    return ResNetV1e(block, depths=(1, 2, 1, 1), widths=(8, 12, 12, 16))  # type: ignore[arg-type]


@pytest.mark.parametrize(("block", "channels"), [("basic", (8, 12, 12, 16)), ("bottleneck", (32, 48, 48, 64))])
def test_shapes(block: str, channels: tuple[int, ...]) -> None:
    net = small(block).eval()
    assert net.out_channels == channels
    found = [tuple(x.shape) for x in net(torch.zeros(2, 3, 64, 96))]
    assert found == [(2, c, 64 // s, 96 // s) for c, s in zip(channels, net.strides, strict=True)]


def test_stem_halves_its_first_two_convolutions() -> None:
    convolutions = [m for m in ResNetV1e("basic", (1, 1, 1, 1), (24, 48, 48, 80)).stem if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions] == [
        (3, 12, 2),
        (12, 12, 1),
        (12, 24, 1),
    ]
    assert all(c.bias is None for c in convolutions)


# SCRFD-2.5GF's backbone. Convolutions without bias, two norm values a channel:
# stem: 27*12 + 9*12*12 + 9*12*24 + 2*(12 + 12 + 24)
# block of width w from width v: 9*v*w + 9*w*w + 4*w, and v*w + 2*w for a projecting shortcut
def basic(v: int, w: int) -> int:
    return 9 * v * w + 9 * w * w + 4 * w + (v * w + 2 * w if v != w else 0)


def test_parameters_by_hand() -> None:
    net = ResNetV1e("basic", (3, 5, 3, 2), (24, 48, 48, 80))
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.components().items()}
    assert counts == {
        "stem": 27 * 12 + 9 * 12 * 12 + 9 * 12 * 24 + 2 * (12 + 12 + 24),
        "c2": 3 * basic(24, 24),
        "c3": basic(24, 48) + 4 * basic(48, 48),
        "c4": 3 * basic(48, 48) + 48 * 48 + 2 * 48,  # as wide as before, but strided: its shortcut projects too
        "c5": basic(48, 80) + basic(80, 80),
    }
    assert sum(counts.values()) == sum(p.numel() for p in net.parameters())


def test_bottleneck_projects_its_first_shortcut_without_pooling() -> None:
    block = Bottleneck(8, 4)
    assert not any(isinstance(m, nn.AvgPool2d) for m in block.modules())
    assert sum(p.numel() for p in block.shortcut.parameters()) == 8 * 16 + 2 * 16
    assert [c.stride[0] for c in Bottleneck(8, 4, stride=2).body if isinstance(c, nn.Conv2d)] == [1, 2, 1]


def test_shortcut_averages_before_it_projects() -> None:
    block = BasicBlock(1, 1, stride=2).eval()
    nn.init.zeros_(block.body[0].weight)  # type: ignore[arg-type]
    projection = block.shortcut[1]  # type: ignore[index]
    nn.init.constant_(projection.weight, 2.0)
    block.shortcut[2].eps = 0.0  # type: ignore[index]
    x = torch.tensor([[[[1.0, 3.0, 5.0], [5.0, 7.0, 7.0], [2.0, 4.0, -9.0]]]])
    # means of 2x2 windows, cut short at the border without counting padding, times 2, after ReLU
    assert block(x).tolist() == [[[[8.0, 12.0], [6.0, 0.0]]]]


def test_residual_branches_start_as_nothing() -> None:
    for kind in (BasicBlock, Bottleneck):
        net = ResNetV1e("basic" if kind is BasicBlock else "bottleneck", (2, 1, 1, 1), (8, 8, 8, 8)).eval()
        second = net.c2[1]
        x = torch.rand(1, 8 * kind.expansion, 4, 4)
        assert torch.equal(second(x), x)


def test_batched_equals_single() -> None:
    torch.manual_seed(0)
    net = small().eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        together, alone = net(images), [net(image[None]) for image in images]
    for level in range(4):
        torch.testing.assert_close(together[level], torch.cat([x[level] for x in alone]), atol=1e-5, rtol=1e-4)


def test_depths_and_widths_that_do_not_pair_up() -> None:
    with pytest.raises(ValueError, match="zip"):
        ResNetV1e("basic", (1, 1, 1), (8, 8, 8, 8))
