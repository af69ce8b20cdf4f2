"""BlazeNet and BlazeHead against the counts of the paper's table 4."""

import pytest
import torch
from torch import Tensor, nn

from bench.backbones.blazenet import BlazeBlock, BlazeNet
from bench.cost.complexity import measure_complexity
from bench.errors import ConfigError
from bench.heads.blaze_head import BlazeHead


class BlazeFace(nn.Module):
    def __init__(self, norm: bool, **head: int) -> None:
        super().__init__()
        self.backbone = BlazeNet(norm=norm)
        self.head = BlazeHead(**head)

    def components(self) -> dict[str, nn.Module]:
        parts = ("stem", "stage1", "stage2", "stage3", "stage4")
        return {name: getattr(self.backbone, name) for name in parts} | {"head": self.head}

    def forward(self, images: Tensor) -> object:
        return self.head(self.backbone(images))


@pytest.mark.parametrize(("norm", "params"), [(True, 59_760), (False, 57_984)])
def test_backbone_cost_is_the_papers(norm: bool, params: int) -> None:
    found = measure_complexity(BlazeFace(norm), (128, 128))
    assert found.params - found.params_by_component["head"] == params
    assert found.macs_by_component == {  # table 4, row by row
        "stem": 7_372_800,
        "stage1": 2 * 4_816_896,
        "stage2": 1_794_048 + 2 * 3_588_096,
        "stage3": 1_345_536 + 2 * 1_947_648,
        "stage4": 3 * 486_912,
        "head": 256 * 96 * 2 * 17 + 64 * 96 * 6 * 17,
    }
    assert found.macs - found.macs_by_component["head"] == 32_678_400


def test_whole_model_cost() -> None:
    found = measure_complexity(BlazeFace(norm=False), (128, 128))
    assert found.params == 71_176
    assert found.macs == 34_140_672


def test_whole_model_cost_with_3x3_heads() -> None:
    found = measure_complexity(BlazeFace(norm=False, kernel_size=3), (128, 128))
    assert found.params == 57_984 + 9 * (13_192 - 136) + 136 == 175_624
    assert found.macs == 32_678_400 + 9 * 1_462_272


@pytest.mark.parametrize("size", [(128, 128), (96, 160), (100, 75)])
def test_feature_sizes(size: tuple[int, int]) -> None:
    net = BlazeNet().eval()
    features = net(torch.zeros(2, 3, *size))
    expected = [
        (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip(net.out_channels, net.strides, strict=True)
    ]
    assert [tuple(feature.shape) for feature in features] == expected


def test_tiny_variant() -> None:
    net = BlazeNet(8, singles=((8, 1), (12, 2)), doubles=((16, 2), (20, 2), (24, 1)), squeeze=4, kernel_size=3)
    assert net.out_channels == (16, 24)
    assert [feature.shape[1:] for feature in net(torch.zeros(1, 3, 64, 64))] == [(16, 8, 8), (24, 4, 4)]


def test_batched_equals_single() -> None:
    torch.manual_seed(0)
    net = BlazeNet().eval()
    images = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        together = net(images)
        alone = [net(image[None]) for image in images]
    for level in range(2):
        torch.testing.assert_close(together[level], torch.cat([maps[level] for maps in alone]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("squeeze", [None, 2])
def test_skip_pools_and_appends_zero_channels(squeeze: int | None) -> None:
    block = BlazeBlock(2, 3, stride=2, squeeze=squeeze, norm=False)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.tensor([[1.0, 2.0, -3.0], [4.0, 0.0, -1.0], [-5.0, -6.0, 7.0]]).expand(1, 2, 3, 3)
    # main branch zero: ReLU of the 2x2 max (windows at the edge cut short), third channel zero
    pooled = [[4.0, 0.0], [0.0, 7.0]]
    assert block(x)[0].tolist() == [pooled, pooled, [[0.0, 0.0], [0.0, 0.0]]]


def test_double_block_has_an_inner_activation_and_single_none() -> None:
    double, single = BlazeBlock(4, 4, squeeze=2), BlazeBlock(4, 4)
    assert [sum(isinstance(m, nn.ReLU) for m in block.modules()) for block in (double, single)] == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 4}, "odd"),
        ({"doubles": ((96, 2), (96, 1))}, "exactly three"),
        ({"singles": ((24, 1), (48, 4))}, "exactly three"),
        ({"stem_channels": 32}, "never shrink"),
    ],
)
def test_bad_backbone(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BlazeNet(**arguments)


def test_head_shapes_and_prior() -> None:
    head = BlazeHead((8, 12), (2, 6), num_classes=3, num_keypoints=5)
    features = [torch.zeros(2, 8, 4, 3), torch.zeros(2, 12, 2, 2)]
    logits, boxes, keypoints, _ = head(features)
    assert [tuple(level.shape) for level in logits] == [(2, 6, 4, 3), (2, 18, 2, 2)]
    assert [tuple(level.shape) for level in boxes] == [(2, 8, 4, 3), (2, 24, 2, 2)]
    assert [tuple(level.shape) for level in keypoints] == [(2, 20, 4, 3), (2, 60, 2, 2)]
    for level in logits:
        torch.testing.assert_close(level.sigmoid(), torch.full_like(level, 0.01))
    assert BlazeHead((8, 12), num_keypoints=0)(features)[2] is None


def test_bad_head() -> None:
    with pytest.raises(ConfigError, match="as many levels"):
        BlazeHead((96,), (2, 6))
    with pytest.raises(ConfigError, match="prior"):
        BlazeHead(prior=1.0)
