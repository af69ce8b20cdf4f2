"""Every one-stage detector: it builds, predicts alike in any batch, and keeps its weights through a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import bench
from bench.boxes import Nms
from bench.detectors.base import Detector
from bench.errors import ConfigError, ImageError
from bench.evaluation.postprocess import PostProcessor

DETECTORS = [name for name in bench.list_detectors() if not name.startswith("mtcnn")]  # those: cascade/
Trainable = Callable[[str], Detector]
Noise = Callable[..., list[Tensor]]


def wide_awake(detector: Detector) -> Detector:
    """The untrained detector, its last part made to report everything with scores spread out.

    In double precision, since batches round differently, and in evaluation mode.
    """
    torch.manual_seed(3)
    detector.double().eval()
    *_, last = detector.components().values()
    for parameter in last.parameters():
        if parameter.ndim == 4:
            parameter.data.normal_(std=0.05)
    detector.postprocess = PostProcessor(Nms(0.45), score_threshold=0.0)
    return detector


@pytest.mark.parametrize("name", DETECTORS)
def test_builds_and_proposes(name: str, trainable: Trainable, noise: Noise) -> None:
    detector = trainable(name).eval()
    components = detector.components()
    assert sum(p.numel() for part in components.values() for p in part.parameters()) == sum(
        p.numel() for p in detector.parameters()
    )
    assert set(detector.backbone_components()) < set(components)
    with torch.no_grad():
        found = detector.raw(noise((64, 96), (64, 96)))
    rows = len(found.image)
    assert found.boxes.shape == (rows, 4)
    assert found.scores.shape == (rows, 1)
    assert found.keypoints is None or found.keypoints.shape[::2] == (rows, 2)
    assert bool(found.boxes.isfinite().all())
    assert bool(((found.scores > 0) & (found.scores < 0.05)).all())  # near the prior of 0.01
    assert found.sizes.tolist() == [[64, 96], [64, 96]]


CANDIDATES = {  # of an image of 64 x 96, by the first word of the name: cells of every stride, times anchors
    **dict.fromkeys(("scrfd", "resnet", "mobilenet"), (8 * 12 + 4 * 6 + 2 * 3) * 2),
    "blazeface": 8 * 12 * 2 + 4 * 6 * 6,
    "tinaface": (16 * 24 + 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2 + 1 * 1) * 3,
}


@pytest.mark.parametrize("name", [name for name in DETECTORS if name.split("_")[0] in CANDIDATES])
def test_a_candidate_for_every_anchor(name: str, trainable: Trainable, noise: Noise) -> None:
    """Of images of two sizes too, since they are padded to one."""
    detector = trainable(name).eval()
    with torch.no_grad():
        found = detector.raw(noise((64, 96), (50, 70)))
    count = CANDIDATES[name.split("_")[0]]
    assert found.image.tolist() == [0] * count + [1] * count
    assert found.sizes.tolist() == [[64, 96], [50, 70]]


@pytest.mark.parametrize("name", DETECTORS)
def test_batched_equals_single(name: str, trainable: Trainable, noise: Noise) -> None:
    """Images of one padded size, one of them smaller than that."""
    detector = wide_awake(trainable(name))
    images = noise((96, 128), (90, 101), (96, 128))
    assert detector.postprocess is not None
    with torch.no_grad():
        together = detector.postprocess(detector.raw(images, (96, 128)))
        single = [detector.postprocess(detector.raw([image], (96, 128)))[0] for image in images]
    assert min(len(found["scores"]) for found in together) > 5
    for found, alone in zip(together, single, strict=True):
        for key in ("boxes", "scores", "labels", "keypoints"):
            torch.testing.assert_close(found[key], alone[key], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", DETECTORS)
def test_ragged_images(name: str, trainable: Trainable, noise: Noise) -> None:
    """What is predicted lies in the image, best first, and no image depends on its neighbors."""
    detector = wide_awake(trainable(name))
    images = noise((64, 96), (100, 60), (64, 96))
    for image, found in zip(images, detector.predict(images), strict=True):
        height, width = image.shape[1:]
        boxes = found["boxes"]
        assert bool((boxes >= 0).all())
        assert bool((boxes <= torch.tensor([width, height, width, height])).all())
        assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)
        assert found["labels"].dtype == torch.int64
        assert found["keypoints"].shape[::2] == (len(boxes), 3)
        (alone,) = detector.predict([image])
        for key in ("boxes", "scores", "labels", "keypoints"):
            torch.testing.assert_close(found[key], alone[key], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", ["scrfd_tiny", "blazeface_tiny"])
def test_list_and_tensor_are_one(name: str, trainable: Trainable, noise: Noise) -> None:
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
def test_weights_survive_a_file(name: str, suffix: str, trainable: Trainable, noise: Noise, tmp_path: Path) -> None:
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
    other.load(path, name)
    images = noise((64, 96))
    with torch.no_grad():
        one, two = detector.eval().raw(images), other.eval().raw(images)
    assert torch.equal(one.boxes, two.boxes)
    assert torch.equal(one.scores, two.scores)
    assert (one.keypoints is None) == (two.keypoints is None)
    assert one.keypoints is None or torch.equal(one.keypoints, two.keypoints)


def test_blazeface_backbone_cost(trainable: Trainable) -> None:
    detector = trainable("blazeface")
    cost = detector.complexity((128, 128))
    assert cost is not None
    assert cost.macs_of(detector.backbone_components()) == 32_678_400


def test_list_detectors() -> None:
    assert bench.list_detectors("scrfd_?.5g") == ["scrfd_0.5g", "scrfd_2.5g"]
    assert bench.list_detectors("nothing*") == []
    assert not any(name.startswith("_") for name in DETECTORS)


def test_create_detector() -> None:
    detector = bench.create_detector("scrfd_tiny", postprocess="blending", head={"channels": 8})
    assert not detector.training
    assert detector.recipe is None
    weights = detector.state_dict()
    assert {value.shape[1] for key, value in weights.items() if key.endswith("cls.weight")} == {8}


def test_the_postprocessor_is_a_part_of_its_own(noise: Noise) -> None:
    """With the thresholds of conf/model.yaml, and any callable in its place later."""
    chosen: Any = bench.create_detector("scrfd_tiny", postprocess="blending").postprocess
    assert type(chosen.suppression).__name__ == "Blending"
    assert (chosen.suppression.iou_threshold, chosen.score_threshold) == (0.45, 0.02)
    detector = bench.create_detector("scrfd_tiny")
    assert detector.postprocess == replace(chosen, suppression=Nms(0.45))
    detector.postprocess = lambda candidates: [{"sizes": size} for size in candidates.sizes]
    assert [found["sizes"].tolist() for found in detector.predict(noise((8, 9), (10, 11)))] == [[8, 9], [10, 11]]
    detector.postprocess = None
    with pytest.raises(ConfigError, match=r"expected `detector\.postprocess`, found none; bench\.create_detector"):
        detector.predict(noise((8, 9)))


def test_create_detector_refuses_what_it_does_not_know() -> None:
    with pytest.raises(
        ConfigError, match=r"no detector `scrfd_3g`; there are scrfd_0\.5g, scrfd_0\.5g_kps, .*scrfd_2\.5g"
    ):
        bench.create_detector("scrfd_3g")
    with pytest.raises(ConfigError, match=r"does not take .*'chanels'"):
        bench.create_detector("scrfd_tiny", head={"chanels": 8})
    with pytest.raises(ConfigError, match=r"does not take .*'protocol'"):
        bench.create_detector("scrfd_tiny", protocol="wider_vga")
    with pytest.raises(ConfigError, match="postprocess"):
        bench.create_detector("scrfd_tiny", postprocess="nothing")
