"""The ordinary ResNet-50: its size, its stages, deformable convolutions, and weights that come from elsewhere."""

from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet50

from bench.backbones import resnet as module
from bench.backbones.deformable import DeformableConv
from bench.backbones.resnet import ResNet
from bench.errors import ConfigError, WeightsError


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameters_are_torchvisions() -> None:
    with torch.device("meta"):
        backbone, peer = ResNet(), resnet50()
    assert parameters(backbone) == parameters(peer) - parameters(peer.fc)
    assert sum(parameters(part) for part in backbone.components().values()) == parameters(backbone)
    assert backbone.out_channels == (256, 512, 1024, 2048)


def test_maps_of_odd_images() -> None:
    with torch.device("meta"):
        maps = ResNet(norm="group")(torch.empty(1, 3, 65, 96))
    assert [tuple(x.shape[1:]) for x in maps] == [(256, 17, 24), (512, 9, 12), (1024, 5, 6), (2048, 3, 3)]


def test_group_norm_everywhere() -> None:
    with torch.device("meta"):
        kinds = {type(m) for m in ResNet(norm="group").modules()}
    assert not any(issubclass(kind, nn.BatchNorm2d) for kind in kinds)


def test_deformable_stages() -> None:
    with torch.device("meta"):
        plain, backbone = ResNet(), ResNet(deformable=("c4", "c5"))
    found = [name for name, m in backbone.named_modules() if isinstance(m, DeformableConv)]
    assert [name[:2] for name in found] == ["c4"] * 6 + ["c5"] * 3
    # 18 offsets with bias for each 3x3 convolution, of as many channels in as out
    assert parameters(backbone) - parameters(plain) == 18 * (6 * (9 * 256 + 1) + 3 * (9 * 512 + 1))
    with pytest.raises(ConfigError, match=r"found \['c6'\]"):
        ResNet(deformable=("c6",))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_deformable_convolution_starts_as_the_one_it_replaces(stride: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 6, 3, stride, padding=1, bias=False)
    x = torch.randn(2, 4, 9, 11)
    torch.testing.assert_close(DeformableConv(convolution)(x), convolution(x), atol=1e-5, rtol=1e-4)


def test_offsets_move_the_samples() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 6, 3, padding=1, bias=False)
    moved = DeformableConv(convolution)
    nn.init.constant_(moved.offset.bias[1::2], 1.0)  # type: ignore[index, arg-type]  # y and x by turns: one pixel right
    x = torch.randn(2, 4, 9, 11)
    wanted = F.conv2d(F.pad(x, (0, 2, 1, 1))[..., 0:], convolution.weight)
    torch.testing.assert_close(moved(x)[..., :-1], wanted[..., : x.shape[-1] - 1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_pretrained_weights_keep_their_place(norm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub replaced by a seeded network: convolutions and the norms' scale arrive, whatever the norm."""
    create = timm.create_model

    def hub(model: str, pretrained: bool = False, **options: Any) -> nn.Module:
        network: nn.Module = create(model, **options)
        for parameter in network.parameters():
            nn.init.constant_(parameter, 0.5 if pretrained else 0.0)
        return network

    monkeypatch.setattr(module.timm, "create_model", hub)
    backbone = ResNet("resnet26", norm=norm, deformable=("c5",), pretrained=True)
    own = {name: p for name, p in backbone.named_parameters() if ".offset." not in name}
    assert all(bool((p == 0.5).all()) for p in own.values())


def test_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def unreachable(model: str, pretrained: bool = False, **options: Any) -> Any:
        if pretrained:
            raise OSError("no route to host")
        return create(model, **options)

    monkeypatch.setattr(module.timm, "create_model", unreachable)
    with pytest.raises(WeightsError, match=r"OSError: no route to host.*pretrained=false"), torch.device("meta"):
        ResNet("resnet26", pretrained=True)
