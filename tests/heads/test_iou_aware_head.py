"""TinaFace's head: what comes from which tower, where it starts, and RetinaNet's head without the branch."""

import pytest
import torch
from torch import Tensor, nn

from bench.errors import ConfigError
from bench.heads.iou_aware_head import IoUAwareHead


def maps(batch: int = 2) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(batch, 32, 8 // s, 12 // s) for s in (1, 2, 4)]


def head(**changes: object) -> IoUAwareHead:
    arguments: dict = {"in_channels": (32,) * 3, "anchors_per_cell": (3,) * 3, "channels": 64, "depth": 2} | changes
    return IoUAwareHead(**arguments)


def test_shapes_and_parameters() -> None:
    module = head(num_classes=2)
    cls, bbox, kps, iou = module(maps())
    sizes = [(8, 12), (4, 6), (2, 3)]
    assert [tuple(x.shape) for x in cls] == [(2, 6, *size) for size in sizes]
    assert [tuple(x.shape) for x in bbox] == [(2, 12, *size) for size in sizes]
    assert iou is not None
    assert [tuple(x.shape) for x in iou] == [(2, 3, *size) for size in sizes]
    assert kps is None
    towers = 2 * (9 * 64 * (32 + 64) + 2 * 2 * 64)
    assert sum(p.numel() for p in module.parameters()) == towers + (9 * 64 + 1) * 3 * (2 + 4 + 1)


def test_where_everything_starts() -> None:
    cls, bbox, _, iou = head(prior=0.2)(maps())
    assert float((cls[0].detach().sigmoid() - 0.2).abs().max()) < 0.1
    assert iou is not None
    assert not any(bool(x.any()) for x in (*bbox, *iou))


def test_boxes_and_ious_share_a_tower_that_classes_do_not() -> None:
    module = head(norm="group").eval()
    nn.init.normal_(module.bbox.weight)
    assert module.iou is not None
    nn.init.normal_(module.iou.weight)
    before = module(maps())
    nn.init.normal_(module.bbox_tower[0].weight)
    after = module(maps())
    assert torch.equal(before.cls[0], after.cls[0])
    assert not torch.equal(before.bbox[0], after.bbox[0])
    assert not torch.equal(before.iou[0], after.iou[0])


def test_without_the_branch() -> None:
    assert head(iou_branch=False)(maps()).iou is None
    assert sum(isinstance(m, nn.Conv2d) for m in head(iou_branch=False).modules()) == 2 * 2 + 2


def test_batched_equals_single() -> None:
    module = head(norm="group").eval()
    together = module(maps(batch=3))
    for image in range(3):
        alone = module([x[image : image + 1] for x in maps(batch=3)])
        for level, one in zip(together.cls, alone.cls, strict=True):
            torch.testing.assert_close(level[image : image + 1], one, atol=1e-6, rtol=1e-4)


def test_levels_must_be_alike() -> None:
    with pytest.raises(ConfigError, match=r"\(32, 16\)"):
        head(in_channels=(32, 16), anchors_per_cell=(3, 3))
