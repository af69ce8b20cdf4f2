"""Every configured detector: it builds, predicts alike in any batch, and keeps its weights through a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import bench
from bench.cost.complexity import measure_complexity
from bench.detectors.dense import DenseDetector
from bench.detectors.weights import load_weights
from bench.errors import ConfigError, ImageError

DETECTORS = bench.list_detectors()
Trainable = Callable[[str], DenseDetector]


def wide_awake(detector: DenseDetector) -> DenseDetector:
    """The untrained detector, made to report everything with scores spread out.

    In double precision, since batches round differently, and in evaluation mode.
    """
    torch.manual_seed(3)
    detector.double().eval()
    for parameter in detector.head.parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(std=0.05)
    detector.postprocess = replace(detector.postprocess, score_threshold=0.0)
    return detector


def noise(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for size in sizes]


@pytest.mark.parametrize("name", DETECTORS)
def test_builds_and_proposes(name: str, trainable: Trainable) -> None:
    detector = trainable(name).eval()
    components = detector.components()
    assert sum(p.numel() for part in components.values() for p in part.parameters()) == sum(
        p.numel() for p in detector.parameters()
    )
    assert set(detector.backbone_components()) < set(components)
    with torch.no_grad():
        found = detector.raw(noise((64, 96), (64, 96)))
    count = len(detector.anchors((64, 96)))
    assert found.boxes.shape == (2, count, 4)
    assert found.scores.shape == (2, count, 1)
    assert bool(found.boxes.isfinite().all())
    assert bool(((found.scores > 0) & (found.scores < 0.05)).all())  # near the prior of 0.01
    assert found.sizes.tolist() == [[64, 96], [64, 96]]


@pytest.mark.parametrize("name", DETECTORS)
def test_batched_equals_single(name: str, trainable: Trainable) -> None:
    """Images of one padded size, one of them smaller than that."""
    detector = wide_awake(trainable(name))
    images = noise((96, 128), (90, 101), (96, 128))
    together = detector.predict(images, pad_to=(96, 128))
    assert min(len(found["scores"]) for found in together) > 5
    for image, found in zip(images, together, strict=True):
        alone = detector.predict([image], pad_to=(96, 128))[0]
        for key in ("boxes", "scores", "labels", "keypoints"):
            torch.testing.assert_close(found[key], alone[key], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", DETECTORS)
def test_ragged_images(name: str, trainable: Trainable) -> None:
    detector = wide_awake(trainable(name))
    images = noise((64, 96), (100, 60))
    for image, found in zip(images, detector.predict(images), strict=True):
        height, width = image.shape[1:]
        boxes = found["boxes"]
        assert bool((boxes >= 0).all())
        assert bool((boxes <= torch.tensor([width, height, width, height])).all())
        assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)
        assert found["labels"].dtype == torch.int64
        assert found["keypoints"].shape[::2] == (len(boxes), 3)


@pytest.mark.parametrize("name", ["scrfd_tiny", "blazeface_tiny"])
def test_list_and_tensor_are_one(name: str, trainable: Trainable) -> None:
    detector = trainable(name).eval()
    images = noise((64, 96), (64, 96))
    for one, other in zip(detector.prepare(images), detector.prepare(torch.stack(images)), strict=True):
        assert torch.equal(one, other)


def test_prepare_normalises_and_pads_with_its_zero(trainable: Trainable) -> None:
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
def test_images_that_no_detector_takes(images: list[Tensor], message: str, trainable: Trainable) -> None:
    with pytest.raises(ImageError, match=message):
        trainable("scrfd_tiny").predict(images)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("suffix", ["safetensors", "ckpt"])
def test_weights_survive_a_file(name: str, suffix: str, trainable: Trainable, tmp_path: Path) -> None:
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
    assert (one.keypoints is None) == (two.keypoints is None)
    assert one.keypoints is None or torch.equal(one.keypoints, two.keypoints)


def test_blazeface_backbone_cost(trainable: Trainable) -> None:
    detector = trainable("blazeface")
    cost = measure_complexity(detector, (128, 128))
    assert sum(cost.macs_by_component[name] for name in detector.backbone_components()) == 32_678_400


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
