"""SCRFD's head: its released variants, what levels share, and what starts where."""

import pytest
import torch
from torch import Tensor, nn

from bench.heads.scrfd_head import SCRFDHead


def maps(channels: int = 16, batch: int = 2) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(batch, channels, 8 // s, 12 // s) for s in (1, 2, 4)]


def head(**changes: object) -> SCRFDHead:
    arguments: dict = {"in_channels": (16, 16, 16), "anchors_per_cell": (2, 2, 2), "channels": 32} | changes
    return SCRFDHead(**arguments)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_shapes() -> None:
    cls, bbox, kps, _ = head(num_classes=3, num_keypoints=5)(maps())
    sizes = [(8, 12), (4, 6), (2, 3)]
    assert [tuple(x.shape) for x in cls] == [(2, 6, *size) for size in sizes]
    assert [tuple(x.shape) for x in bbox] == [(2, 8, *size) for size in sizes]
    assert kps is not None
    assert [tuple(x.shape) for x in kps] == [(2, 20, *size) for size in sizes]
    assert head()(maps())[2] is None


def test_every_anchor_starts_from_the_prior() -> None:
    for module, prior in ((head(), 0.01), (head(shared=False, norm="batch"), 0.01), (head(prior=0.2), 0.2)):
        nn.init.zeros_(module.towers[0].cls.weight)  # type: ignore[arg-type, union-attr]
        scores = module(maps())[0][0].sigmoid()
        torch.testing.assert_close(scores, torch.full_like(scores, prior))


# Tower layers have no bias and two norm values a channel; predictors are 3x3 with bias, 2 anchors x (1 + 4 + 2P).
def predictors(channels: int, keypoints: int = 0) -> int:
    return (9 * channels + 1) * 2 * (5 + 2 * keypoints)


def ordinary(v: int, w: int) -> int:
    return 9 * v * w + 2 * w


def separable(v: int, w: int) -> int:
    return 9 * v + 2 * v + v * w + 2 * w


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"in_channels": (24,) * 3, "channels": 64},
            ordinary(24, 64) + ordinary(64, 64) + predictors(64) + 3,
        ),  # 2.5 GF
        ({"channels": 64, "depthwise": True}, separable(16, 64) + separable(64, 64) + predictors(64) + 3),  # 0.5 GF
        (
            {"channels": 64, "depthwise": True, "norm": "batch", "shared": False, "scale": False, "num_keypoints": 5},
            3 * (separable(16, 64) + separable(64, 64) + predictors(64, 5)),  # 0.5 GF bnkps
        ),
        (
            {"in_channels": (56,) * 3, "channels": 80, "depth": 3},
            ordinary(56, 80) + 2 * ordinary(80, 80) + predictors(80) + 3,  # 10 GF
        ),
    ],
)
def test_parameters_of_the_released_heads(arguments: dict, expected: int) -> None:
    assert parameters(head(**arguments)) == expected


def test_whole_bnkps_model() -> None:
    """With the backbone and neck of SCRFD-2.5GF: 819,809 parameters against 671,761 of the plain one."""
    plain = head(in_channels=(24,) * 3, channels=64)
    keypoints = head(in_channels=(24,) * 3, channels=64, norm="batch", shared=False, num_keypoints=5)
    assert parameters(keypoints) - parameters(plain) == 819_809 - 671_761


def test_scale_multiplies_boxes_alone_and_level_by_level() -> None:
    module = head(num_keypoints=5).eval()
    before = module(maps())
    assert module.scales is not None
    with torch.no_grad():
        for level, scale in enumerate(module.scales):
            scale.fill_(level - 1.0)  # -1, 0, 1: raw, neither exp nor ReLU
    after = module(maps())
    for level in range(3):
        torch.testing.assert_close(after[1][level], before[1][level] * (level - 1.0))
        assert torch.equal(after[0][level], before[0][level])
        assert after[2] is not None
        assert before[2] is not None
        assert torch.equal(after[2][level], before[2][level])


@pytest.mark.parametrize(("shared", "towers"), [(True, 1), (False, 3)])
def test_sharing(shared: bool, towers: int) -> None:
    module = head(shared=shared, scale=False).eval()
    assert len(module.towers) == towers
    x = maps()[0]
    levels = module([x, x, x])[0]
    assert torch.equal(levels[0], levels[1]) is shared
    assert torch.equal(levels[1], levels[2]) is shared


def test_class_box_and_keypoints_share_the_tower() -> None:
    module = head(num_keypoints=5, scale=False)
    nn.init.zeros_(module.towers[0].layers[-3].weight)  # type: ignore[arg-type, index, union-attr]
    nn.init.zeros_(module.towers[0].layers[-2].bias)  # type: ignore[arg-type, index, union-attr]
    cls, bbox, kps, _ = module(maps())
    assert kps is not None
    assert not bool(bbox[0].any())
    assert not bool(kps[0].any())
    assert cls[0].unique().numel() == 1


def test_batched_equals_single() -> None:
    module = head(num_keypoints=5, depthwise=True).eval()
    together = module(maps(batch=3))
    for image in range(3):
        alone = module([x[image : image + 1] for x in maps(batch=3)])
        for part, single in zip(together[:3], alone[:3], strict=True):
            assert part is not None
            assert single is not None
            for level, one in zip(part, single, strict=True):
                torch.testing.assert_close(level[image : image + 1], one, atol=1e-6, rtol=1e-4)
