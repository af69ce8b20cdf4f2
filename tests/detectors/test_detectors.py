"""Every configured detector: it builds, trains, predicts alike in any batch, and keeps its weights through a file."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import bench
from bench.boxes import pairwise_iou
from bench.config import compose
from bench.cost.complexity import measure_complexity
from bench.detectors.base import Detector
from bench.detectors.create import build_detector
from bench.detectors.dense import DenseDetector
from bench.detectors.weights import load_weights
from bench.errors import ConfigError, ImageError

DETECTORS = bench.list_detectors()
TINY = [name for name in DETECTORS if name.endswith("_tiny")]
built: dict[str, Detector] = {}


def trainable(name: str) -> Detector:
    """A fresh detector with its recipe; composing it takes longest and happens once."""
    if name not in built:
        built[name] = build_detector(compose("model", [f"detector={name}"]), with_recipe=True)
    return copy.deepcopy(built[name])


def wide_awake(name: str) -> Detector:
    """An untrained detector that reports everything, its scores spread out.

    In double precision, since batches round differently, and in evaluation mode.
    """
    torch.manual_seed(3)
    detector = trainable(name).double().eval()
    for parameter in detector.head.parameters():  # type: ignore[union-attr]
        if parameter.ndim == 4:
            parameter.data.normal_(std=0.05)
    detector.postprocess = replace(detector.postprocess, score_threshold=0.0)
    return detector


def noise(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]


def face(boxes: list[list[float]], landmarks: bool = True) -> dict[str, Any]:
    corners = torch.tensor(boxes).view(-1, 4)
    places = torch.tensor([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    points = corners[:, None, :2] + places * (corners[:, None, 2:] - corners[:, None, :2])
    return {
        "boxes": corners,
        "labels": torch.zeros(len(corners), dtype=torch.int64),
        "keypoints": torch.cat([points, torch.full_like(points[..., :1], float(landmarks))], dim=-1),
        "ignore": torch.zeros(len(corners), dtype=torch.bool),
    }


@pytest.mark.parametrize("name", DETECTORS)
def test_builds_and_proposes(name: str) -> None:
    detector = trainable(name).eval()
    components = detector.components()
    assert sum(p.numel() for part in components.values() for p in part.parameters()) == sum(
        p.numel() for p in detector.parameters()
    )
    assert set(detector.backbone_components()) < set(components)
    with torch.no_grad():
        found = detector.raw(noise((64, 96), (64, 96)))
    assert isinstance(detector, DenseDetector)
    count = len(detector.anchors((64, 96)))
    assert found.boxes.shape == (2, count, 4)
    assert found.scores.shape == (2, count, 1)
    assert bool(found.boxes.isfinite().all())
    assert bool(((found.scores > 0) & (found.scores < 0.05)).all())  # near the prior of 0.01
    assert found.sizes.tolist() == [[64, 96], [64, 96]]


@pytest.mark.parametrize("batch", ["faces", "no faces", "no landmarks", "bfloat16"])
@pytest.mark.parametrize("name", DETECTORS)
def test_a_training_step(name: str, batch: str) -> None:
    torch.manual_seed(0)
    detector = trainable(name).train()
    faces = [[8.0, 8, 40, 44], [50, 20, 80, 56]]
    targets = [face([] if batch == "no faces" else faces, landmarks=batch != "no landmarks"), face([])]
    assert detector.recipe is not None
    optimizer, _ = detector.recipe.build(detector.parameters(), total=10)
    images, _ = detector.prepare(noise((64, 96), (64, 96)))
    with torch.autocast("cpu", torch.bfloat16, enabled=batch == "bfloat16"):
        losses = detector.losses(detector(images), targets)
        total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert bool(total.isfinite())
    assert total.dtype == torch.float32
    for key, parameter in detector.named_parameters():
        assert parameter.grad is not None, f"{key} takes no part in the loss"
        assert bool(parameter.grad.isfinite().all()), key
    if batch == "faces":
        assert all(value > 0 for value in losses.values())
    optimizer.step()
    assert all(bool(p.isfinite().all()) for p in detector.parameters())
    assert bool(detector.eval().raw(noise((64, 96))).scores.isfinite().all())


@pytest.mark.parametrize("name", DETECTORS)
def test_batched_equals_single(name: str) -> None:
    """Images of one padded size, one of them smaller than that."""
    detector = wide_awake(name)
    images = noise((96, 128), (90, 101), (96, 128))
    together = detector.predict(images, pad_to=(96, 128))
    assert min(len(found["scores"]) for found in together) > 5
    for image, found in zip(images, together, strict=True):
        alone = detector.predict([image], pad_to=(96, 128))[0]
        for key in ("boxes", "scores", "labels", "keypoints"):
            torch.testing.assert_close(found[key], alone[key], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", DETECTORS)
def test_ragged_images(name: str) -> None:
    detector = wide_awake(name)
    images = noise((64, 96), (100, 60))
    for image, found in zip(images, detector.predict(images), strict=True):
        height, width = image.shape[1:]
        boxes = found["boxes"]
        assert bool((boxes >= 0).all())
        assert bool((boxes <= torch.tensor([width, height, width, height])).all())
        assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)
        assert found["labels"].dtype == torch.int64
        assert found["keypoints"].shape[::2] == (len(boxes), 3)


@pytest.mark.parametrize("name", TINY)
def test_list_and_tensor_are_one(name: str) -> None:
    detector = trainable(name).eval()
    images = noise((64, 96), (64, 96))
    for one, other in zip(detector.prepare(images), detector.prepare(torch.stack(images)), strict=True):
        assert torch.equal(one, other)


def test_prepare_normalises_and_pads_with_its_zero() -> None:
    detector = trainable("scrfd_tiny")
    batch, sizes = detector.prepare([torch.full((3, 2, 3), 255, dtype=torch.uint8)], pad_to=(20, 40))
    assert batch.shape == (1, 3, 32, 64)
    assert sizes.tolist() == [[2, 3]]
    torch.testing.assert_close(batch[0, :, :2, :3], torch.full((3, 2, 3), 127.5 / 128))
    assert int(batch.count_nonzero()) == 3 * 2 * 3


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "at least one"),
        ([torch.zeros(3, 8, 8)], "uint8 .* found torch.float32"),
        ([torch.zeros(8, 8, 3, dtype=torch.uint8)], r"\[3, H, W\], found torch.uint8 \[8, 8, 3\]"),
    ],
)
def test_images_that_no_detector_takes(images: list[Tensor], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        trainable("scrfd_tiny").predict(images)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("suffix", ["safetensors", "ckpt"])
def test_weights_survive_a_file(name: str, suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    detector = trainable(name)
    detector.train()(detector.prepare(noise((64, 64), (64, 64)))[0])  # moves the norms' statistics
    path = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        save_file(detector.state_dict(), path)
    else:
        torch.save({"state_dict": detector.state_dict(), "epoch": 3, "hparams_name": "kwargs"}, path)
    other = trainable(name)
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    load_weights(other, path, name)
    images = noise((64, 96))
    with torch.no_grad():
        one, two = detector.eval().raw(images), other.eval().raw(images)
    assert torch.equal(one.boxes, two.boxes)
    assert torch.equal(one.scores, two.scores)


@pytest.mark.parametrize(
    ("name", "params", "macs"), [("scrfd_2.5g", 671_761, 2_498_515_000), ("scrfd_0.5g", 572_741, 477_583_000)]
)
def test_published_cost(name: str, params: int, macs: int) -> None:
    cost = measure_complexity(trainable(name), (480, 640))
    assert cost.params == params
    assert cost.macs == pytest.approx(macs, rel=1e-3)
    assert "other" not in cost.macs_by_component


def test_blazeface_backbone_cost() -> None:
    detector = trainable("blazeface")
    cost = measure_complexity(detector, (128, 128))
    assert sum(cost.macs_by_component[name] for name in detector.backbone_components()) == 32_678_400


def drawn_faces() -> tuple[Tensor, list[dict[str, Any]]]:
    """Two images, each with a bright face (dark eyes and mouth) of its own size and place on a dim, noisy ground."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 80, (2, 3, 128, 128), dtype=torch.uint8, generator=generator)
    boxes = [[16.0, 24, 64, 80], [52.0, 40, 116, 112]]
    targets = [face([box]) for box in boxes]
    for image, (x1, y1, x2, y2), target in zip(images, boxes, targets, strict=True):
        image[:, int(y1) : int(y2), int(x1) : int(x2)] = 210
        for x, y, _ in target["keypoints"][0].tolist():
            image[:, int(y) - 3 : int(y) + 3, int(x) - 3 : int(x) + 3] = 30
    return images, targets


@pytest.mark.parametrize("name", TINY)
def test_two_images_are_learned_by_heart(name: str) -> None:
    torch.manual_seed(0)
    detector = trainable(name).train()
    images, targets = drawn_faces()
    optimizer = torch.optim.Adam(detector.parameters(), lr=3e-3)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=150)  # lets norms catch up at the end
    batch = detector.prepare(images)[0]
    history = []
    for _ in range(150):
        loss = torch.stack(list(detector.losses(detector(batch), targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
        history.append(float(loss.detach()))
    assert history[-1] < history[0] / 10
    detector.postprocess = replace(detector.postprocess, score_threshold=0.3)
    for found, target in zip(detector.eval().predict(images), targets, strict=True):
        iou = pairwise_iou(found["boxes"], target["boxes"])
        assert len(iou) == 1
        assert float(iou) > 0.7
        labelled = found["keypoints"][0, :3, :2] - target["keypoints"][0, :3, :2]  # eyes and nose are in every scheme
        assert float(labelled.norm(dim=-1).max()) < 8


def test_list_detectors() -> None:
    assert bench.list_detectors("scrfd_?.5g") == ["scrfd_0.5g", "scrfd_2.5g"]
    assert bench.list_detectors("nothing*") == []
    assert not any(name.startswith("_") for name in DETECTORS)


def test_create_detector() -> None:
    detector = bench.create_detector(
        "scrfd_tiny", postprocess="blending", protocol="blazeface_front", head={"channels": 8}
    )
    assert not detector.training
    assert detector.postprocess.suppression.iou_threshold == 0.3
    assert detector.head.towers[0].cls.in_channels == 8
    assert detector.recipe is None


def test_create_detector_refuses_what_it_does_not_know() -> None:
    with pytest.raises(
        ConfigError, match=r"no detector `scrfd_3g`; there are scrfd_0\.5g, scrfd_0\.5g_kps, .*scrfd_2\.5g"
    ):
        bench.create_detector("scrfd_3g")
    with pytest.raises(ConfigError, match=r"does not take .*'chanels'"):
        bench.create_detector("scrfd_tiny", head={"chanels": 8})
    with pytest.raises(ConfigError, match="postprocess"):
        bench.create_detector("scrfd_tiny", postprocess="nothing")
