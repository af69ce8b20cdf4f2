"""The ordinary ResNet-50 family: 7x7 stem, 3x3 max-pool, stride in the bottleneck's 3x3, out of timm.

Paper: Deep Residual Learning (arXiv 1512.03385), as TinaFace (arXiv 2011.13183) starts from it: ImageNet weights of
torchvision, batch norm, or group norm with deformable convolutions in late stages. ImageNet's affine parameters of the
norms are kept when group norm takes their place, as vedadet does.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import timm
from timm.layers.norm import GroupNorm
from torch import nn

from bench.backbones.deformable import DeformableConv
from bench.backbones.stages import FourStages
from bench.errors import ConfigError, WeightsError
from bench.layers.norm import Norm


class ResNet(FourStages):
    """Four stages of bottlenecks.

    Args:
        model: timm's name, a ResNet of bottlenecks ("resnet50", "resnet50.tv_in1k").
        norm, groups: "batch", or "group" with this many groups.
        deformable: stages ("c2".."c5") whose 3x3 convolutions are deformable.
        pretrained: fetch timm's weights for `model`; False initialises at random.
    """

    def __init__(
        self,
        model: str = "resnet50",
        norm: Norm = "batch",
        groups: int = 32,
        deformable: Sequence[str] = (),
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        if set(deformable) - {"c2", "c3", "c4", "c5"}:
            raise ConfigError(f"ResNet: expected deformable stages among c2, c3, c4, c5, found {list(deformable)}")
        normalize = nn.BatchNorm2d if norm == "batch" else partial(GroupNorm, num_groups=groups)
        network: Any = timm.create_model(model, num_classes=0, norm_layer=normalize)
        if pretrained:
            load_pretrained(network, model)
        self.stem = nn.Sequential(network.conv1, network.bn1, network.act1, network.maxpool)
        self.c2, self.c3, self.c4, self.c5 = (getattr(network, f"layer{i}") for i in range(1, 5))
        self.out_channels = tuple(info["num_chs"] for info in network.feature_info[1:])
        for stage in deformable:
            for block in getattr(self, stage):
                block.conv2 = DeformableConv(block.conv2)


def load_pretrained(network: nn.Module, model: str) -> None:
    """timm's weights into `network`, which may have other norms: their running statistics have no place then.

    Raises:
        WeightsError: they cannot be fetched, or leave a parameter unset.
    """
    try:
        state = timm.create_model(model, pretrained=True, num_classes=0).state_dict()
    except Exception as error:  # the hub's client fails in many ways
        reason = (str(error).splitlines() or [""])[0]
        raise WeightsError(
            f"expected pretrained weights of `{model}`, found none ({type(error).__name__}: {reason}); "
            "connect to the hub once, or train from scratch with detector.model.backbone.pretrained=false"
        ) from error
    missing = network.load_state_dict(state, strict=False).missing_keys
    if missing:
        raise WeightsError(f"pretrained weights of `{model}` lack {', '.join(missing[:5])}")
