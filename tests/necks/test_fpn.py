"""TinaFace's necks: sizes of the levels, which inputs they see, parameters, and the two passes by hand."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import ConfigError
from bench.necks.fpn import FPN
from bench.necks.inception import Inception
from bench.necks.sequence import NeckSequence

CHANNELS = (4, 8, 12, 16)


def maps(batch: int = 2) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(batch, c, 16 // s, 24 // s) for c, s in zip(CHANNELS, (1, 2, 4, 8), strict=True)]


def test_levels_halve_and_round_up() -> None:
    neck = FPN(CHANNELS, 8, levels=6)
    assert [tuple(x.shape[1:]) for x in neck(maps())] == [
        (8, 16, 24), (8, 8, 12), (8, 4, 6), (8, 2, 3), (8, 1, 2), (8, 1, 1),
    ]  # fmt: skip
    assert neck.out_channels == (8,) * 6


def test_against_the_formula() -> None:
    neck = FPN(CHANNELS, 8, levels=6).eval()
    inputs = maps()
    lateral = [neck.lateral[i](x) for i, x in enumerate(inputs)]
    for i in (2, 1, 0):
        lateral[i] = lateral[i] + F.interpolate(lateral[i + 1], size=lateral[i].shape[2:], mode="bilinear")
    p6 = neck.extra[0](inputs[3])  # from C5, not from P5
    expected = [*(neck.smooth[i](x) for i, x in enumerate(lateral)), p6, neck.extra[1](p6)]
    for one, other in zip(neck(inputs), expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)])
def test_every_convolution_has_a_norm(norm: str, kind: type[nn.Module]) -> None:
    chain = NeckSequence(
        CHANNELS,
        {
            "fpn": partial(FPN, out_channels=16, norm=norm, groups=2),
            "inception": partial(Inception, norm=norm, groups=2),
        },
    )
    convolutions = [m for m in chain.modules() if isinstance(m, nn.Conv2d)]
    assert sum(isinstance(m, kind) for m in chain.modules()) == len(convolutions) == 4 + 4 + 2 + 5
    assert all(m.bias is None for m in convolutions)


def test_inception_by_branches() -> None:
    block = Inception((16, 16)).eval()
    x = maps()[3]
    reduced = torch.relu(block.reduce[1](block.reduce[0](x)))
    far = block.far[4](block.far[3](torch.relu(block.far[1](block.far[0](reduced)))))
    expected = torch.cat([block.near(x), block.middle(reduced), far], dim=1).relu()
    first, second = block([x, x[..., :2]])
    assert first.shape == x.shape
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(second, block([x[..., :2]])[0])  # one set of weights
    width = 16  # 3x3 convolutions C -> C/2, C -> C/4, three C/4 -> C/4, two norm values a channel
    expected_count = 9 * (width * 8 + width * 4 + 3 * 4 * 4) + 2 * (8 + 4 * 4)
    assert sum(p.numel() for p in block.parameters()) == expected_count


def test_receptive_fields() -> None:
    """From one pixel: half of the channels see 3x3, a quarter 5x5, a quarter 7x7."""
    block = Inception((16,)).eval()
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0)
    x = torch.zeros(1, 16, 15, 15)
    x[0, 0, 7, 7] = 1.0
    out = block([x])[0][0]
    spans = [int((channel > 0).any(dim=0).sum()) for channel in out]
    assert spans == [3] * 8 + [5] * 4 + [7] * 4


def test_a_part_can_be_left_out() -> None:
    chain = NeckSequence(CHANNELS, {"fpn": partial(FPN, out_channels=8), "inception": None})
    assert [name for name, _ in chain.parts.named_children()] == ["fpn"]
    assert chain.out_channels == (8,) * 6
    assert len(chain(maps())) == 6


def test_levels_of_one_width() -> None:
    with pytest.raises(ConfigError, match=r"one width that four divides, found \(8, 16\)"):
        Inception((8, 16))
